"""The promise: one tool, unchanged, with the same contract and the same answers wherever it is deployed.

Each kind of place is held against ``local``, and so against every other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from mcp_packager.manifest import load
from mcp_packager.scaffold import NewRequest, create
from mcp_packager.testing import Pack
from mcp_packager.verify import Era, McpClient
from tests.examples.projects import EXAMPLES, copy_of
from tests.examples.surroundings import surroundings

TOOLS: Final = ("scaffold", *EXAMPLES)
ALONE: Final = tuple(name for name in TOOLS if name != "notes-search")
"""Those that need nothing beside them."""
WORKSPACE: Final = """\
[workspace]
project = "promise"

[defaults.serve.auth]
mode = "none"
insecure_public = true
"""
"""Stands over the project in every place, so that no file of its own is touched. Where it goes is written below."""


@contextmanager
def project(name: str, folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A project of the name, as its author has it, and its environment."""
    if name == "scaffold":
        yield create(NewRequest(name="fresh", folder=folder / "fresh", git=False)).folder, {}
        return
    with surroundings(name, copy_of(name, folder)) as found:
        yield found


def alike(folder: Path, targets: Sequence[str], environ: Mapping[str, str]) -> None:
    """Deploy a project to every target, hold that no client can tell them apart, and remove it again."""
    packs = [Pack(folder, target, environ) for target in targets]
    try:
        done = [pack.deploy() for pack in packs]
        assert len({one["contract_hash"] for one in done}) == 1
        assert len({one["version"] for one in done}) == 1
        calls = load(folder).verify
        assert calls
        for era in Era:
            first, *others = (McpClient(one["endpoint"]["url"], era=era) for one in done)
            tools = list(first.list_tools())
            answers = [_plain(first.call_tool(call.tool, dict(call.arguments))) for call in calls]
            for target, client in zip(targets[1:], others, strict=True):
                assert list(client.list_tools()) == tools, (target, era)
                for call, wanted in zip(calls, answers, strict=True):
                    assert _plain(client.call_tool(call.tool, dict(call.arguments))) == wanted, (target, call.tool, era)
    finally:
        for pack in packs:
            pack.run("destroy", "--yes", "--data")


def _plain(result: Mapping[str, Any]) -> dict[str, Any]:
    """An answer without what names the place that gave it."""
    return {key: value for key, value in result.items() if key != "_meta"}

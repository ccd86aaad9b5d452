"""The promise: the same tool, unchanged, on this machine and as a function of AWS, with the same contract and answers.

A fresh scaffold or an example at each run, all of them where everything is to run.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.manifest import load
from mcp_packager.scaffold import NewRequest, create
from mcp_packager.testing import Pack
from mcp_packager.verify import Era, McpClient
from tests import sampling
from tests.conformance.suites import HERE, SUITES
from tests.examples.projects import EXAMPLES, copy_of
from tests.examples.surroundings import surroundings
from tests.lambda_.fake import ACCOUNT, REGION, running
from tests.lambda_.test_suite import ARCHITECTURE

pytestmark = [pytest.mark.real("lambda-emulator", "python3.13"), pytest.mark.timeout(900)]

_WORKSPACE = f"""\
[workspace]
project = "promise"

[defaults.serve.auth]
mode = "none"
insecure_public = true

[defaults.target.lambda]
region = "{REGION}"
account = "{ACCOUNT}"
architecture = "{ARCHITECTURE}"
"""
_CASES = sampling.sampled(["scaffold", *EXAMPLES], 1, of="promise")
_NEEDS = {"notes-search": ("postgres",)}


@contextmanager
def project(name: str, folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A project of the name, as its author has it, and its environment."""
    if name == "scaffold":
        yield create(NewRequest(name="fresh", folder=folder / "fresh", git=False)).folder, {}
        return
    with surroundings(name, copy_of(name, folder)) as found:
        yield found


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.real(*_NEEDS.get(name, ()))]) for name in _CASES]
)
def test_one_tool_in_two_places(name: str, tmp_path: Path) -> None:
    (tmp_path / "mcp-workspace.toml").write_text(_WORKSPACE)
    (tmp_path / "aws").mkdir()
    with running(tmp_path / "aws") as cloud, project(name, tmp_path) as (folder, environ):
        around = {"MCP_PACK_HOME": str(tmp_path / "home"), **cloud.environ, **environ}
        packs = [Pack(folder, target, around) for target in ("local", "lambda")]
        try:
            here, there = (pack.deploy() for pack in packs)
            assert here["contract_hash"] == there["contract_hash"]
            assert here["version"] == there["version"]
            calls = load(folder).verify
            assert calls
            for era in Era:
                clients = [McpClient(done["endpoint"]["url"], era=era) for done in (here, there)]
                one, other = (listed(client) for client in clients)
                assert one == other
                for call in calls:
                    arguments = dict(call.arguments)
                    first, second = (client.call_tool(call.tool, arguments) for client in clients)
                    assert plain(first) == plain(second), (call.tool, era)
        finally:
            for pack in packs:
                pack.run("destroy", "--yes", "--data")
        assert cloud.left() == []


@pytest.mark.skipif(not sampling.whole(), reason="whole runs alone: the suites see the same zip in test_conformance.py")
@pytest.mark.real("node-modules", "node22")
def test_the_conformance_suites_through_a_function_s_url(tmp_path: Path) -> None:
    (tmp_path / "mcp-workspace.toml").write_text(_WORKSPACE)
    for name in ("aws", "seen"):
        (tmp_path / name).mkdir()
    folder = shutil.copytree(HERE / "fixture", tmp_path / "fixture", ignore=shutil.ignore_patterns("__pycache__"))
    with running(tmp_path / "aws") as cloud:
        pack = Pack(folder, "lambda", {"MCP_PACK_HOME": str(tmp_path / "home"), **cloud.environ})
        url = pack.deploy()["endpoint"]["url"]
        for suite, run in SUITES.items():
            (tmp_path / "seen" / suite).mkdir()
            run(url, tmp_path / "seen" / suite)
        pack.run("destroy", "--yes", "--data")
        assert cloud.left() == []


def listed(client: McpClient) -> list[Any]:
    return list(client.list_tools())


def plain(result: Mapping[str, Any]) -> dict[str, Any]:
    """An answer without what names the place that gave it."""
    return {key: value for key, value in result.items() if key != "_meta"}

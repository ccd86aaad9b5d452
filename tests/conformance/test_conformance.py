"""The official conformance suites, against a fixture written with the author's API, built and deployed as any tool."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import Client

from tests.conformance.suites import HANDSHAKE, HERE, PUSHED, STATELESS, SUITES, WARNED
from tests.pipeline.projects import data, destroyed_afterwards

pytestmark = pytest.mark.xdist_group("conformance")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the deployed fixture is served: from a bundle, by the supervisor, as a user's tool would be."""
    folder = tmp_path_factory.mktemp("conformance")
    project = shutil.copytree(HERE / "fixture", folder / "project", ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        # One home for the whole module; each test has another of its own.
        patch.setenv("MCP_PACK_HOME", str(folder / "home"))
        with destroyed_afterwards(project):
            (deployed,) = data(project, "deploy")["deployments"]
            yield deployed["endpoint"]["url"]


@pytest.mark.real("node-modules", "node22")
@pytest.mark.parametrize("suite", SUITES)
def test_conformance(url: str, tmp_path: Path, suite: str) -> None:
    SUITES[suite](url, tmp_path)


def test_the_lists_hold_nothing_else() -> None:
    for file in (HANDSHAKE, STATELESS):
        entries = re.finditer(r"^  - (\S+)(?: # (.+))?$", file.read_text(encoding="utf-8"), re.MULTILINE)
        listed = {entry[1]: entry[2] for entry in entries}
        assert set(listed) <= PUSHED | WARNED
        assert all(listed.values()), "an entry without its reason"


def test_an_older_client_that_cannot_be_asked_gets_the_reason(url: str) -> None:
    """What the four expected failures come to, in the words that a caller reads."""

    async def ask() -> tuple[bool | None, str]:
        async with Client(url, mode="legacy") as client:
            result = await client.call_tool("test_elicitation", {"message": "Who are you?"})
            return result.is_error, str(result.model_dump()["content"][0]["text"])

    failed, text = asyncio.run(ask())
    assert failed
    assert text.startswith("Error executing tool test_elicitation: ")
    assert "ask" in text

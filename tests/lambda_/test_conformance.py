"""The SDK's client in both eras and the official conformance suites, against the zip in AWS's emulator."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import Client

from tests import real_parts
from tests.conformance.suites import HERE, SUITES
from tests.lambda_.bridge import bridged
from tests.lambda_.conftest import Task
from tests.lambda_.emulator import emulated

MINOR = "3.13"
_CONFIG = {"schema": 1, "target": "lambda", "serve": {"listen": False}}


@pytest.fixture(scope="module")
def url(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the conformance fixture is served, by the emulator."""
    folder = tmp_path_factory.mktemp("conformance")
    project = shutil.copytree(HERE / "fixture", folder / "project", ignore=shutil.ignore_patterns("__pycache__"))
    env = {"MCP_TOOL_CONFIG_DATA": json.dumps(_CONFIG)}
    root, python = real_parts.lambda_emulator(), real_parts.python(MINOR)
    running = emulated(root, task(project, MINOR), python, MINOR, folder / "log", env)
    with running as function, bridged(function) as address:
        yield address


@pytest.mark.real("lambda-emulator", f"python{MINOR}", "node-modules", "node22")
@pytest.mark.parametrize("suite", SUITES)
def test_conformance(url: str, tmp_path: Path, suite: str) -> None:
    SUITES[suite](url, tmp_path)


@pytest.mark.real("lambda-emulator", f"python{MINOR}")
@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
def test_the_sdk_s_client(url: str, era: str) -> None:
    async def use() -> tuple[int, str, list[float]]:
        heard: list[float] = []

        async def heard_of(progress: float, total: float | None, message: str | None) -> None:
            heard.append(progress)

        async with Client(url, mode=era) as client:
            tools = await client.list_tools()
            called = await client.call_tool("test_simple_text", {})
            await client.call_tool("test_tool_with_progress", {}, progress_callback=heard_of)
            return len(tools.tools), str(called.model_dump()["content"][0]["text"]), heard

    count, text, heard = asyncio.run(use())
    assert count > 10
    assert text
    assert heard == sorted(heard)
    assert len(heard) >= 2

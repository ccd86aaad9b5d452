"""The emitted stdio command, started and spoken to by a client that this project did not write."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
import tomli
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from mcp_packager.client_config import CLIENTS
from tests.cli.process import run

TOOL = '''\
"""Tells what it was given."""

import os

from mcp_tool import tool


@tool
def told() -> dict[str, str]:
    """Tell what the environment says."""
    return {name: os.environ.get(name, "") for name in ("LEVEL", "NOTES_KEY")}
'''
MANIFEST = """\
[tool]
name = "teller"
version = "0.1.0"
description = "Tells what it was given"
entrypoint = "teller"

[env]
LEVEL = "loud"

[secrets.NOTES_KEY]
description = "A key"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose wheel is built."""
    folder = tmp_path_factory.mktemp("teller")
    (folder / "mcp-tool.toml").write_text(MANIFEST)
    (folder / "teller.py").write_text(TOOL)
    done = run("build", "--target", "local", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def entry_of(client: str, project: Path, tmp_path: Path) -> dict[str, Any]:
    """What ``client-config --write`` puts into an empty file of the client."""
    file = tmp_path / "settings"
    done = run("client-config", "--client", client, "--write", "--file", str(file), cwd=project)
    assert done.returncode == 0, done.stderr
    loaded = tomli.loads(file.read_text()) if CLIENTS[client].toml else json.loads(file.read_text())
    entry = loaded[CLIENTS[client].section]["teller"]
    assert isinstance(entry, dict)
    return entry


def as_the_client_would(client: str, entry: dict[str, Any]) -> dict[str, str]:
    """The child's environment, with the references replaced as the client's documentation says."""
    reference = CLIENTS[client].reference % ("teller-notes_key" if client == "vscode" else "NOTES_KEY")
    env = {name: value.replace(reference, "the key") for name, value in entry.get("env", {}).items()}
    passed = dict.fromkeys(entry.get("env_vars", []), "the key")
    if client in {"claude-desktop", "zed"}:
        passed = {"NOTES_KEY": "the key"}  # by the person's hand, or from the client's own environment
    kept = {name: os.environ[name] for name in os.environ if name.startswith(("UV_", "HOME", "PATH", "MCP_PACK_CACHE"))}
    return {**kept, **env, **passed}


# One client for each way of passing a secret; the shapes of the others are held by test_shapes.
@pytest.mark.parametrize("client", ["claude-code", "claude-desktop", "vscode", "codex"])
def test_the_emitted_command_serves_the_tool(client: str, project: Path, tmp_path: Path) -> None:
    entry = entry_of(client, project, tmp_path)
    parameters = StdioServerParameters(
        command=entry["command"], args=entry["args"], env=as_the_client_would(client, entry), cwd=str(tmp_path)
    )

    async def talk() -> Any:
        async with Client(stdio_client(parameters)) as session:
            return await session.call_tool("told", {})

    result = asyncio.run(asyncio.wait_for(talk(), 60))
    assert result.structured_content == {"LEVEL": "loud", "NOTES_KEY": "the key"}


def test_the_file_holds_no_secret(project: Path, tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    env = {"NOTES_KEY": "hunter2-hunter2"}
    for client in CLIENTS:
        done = run("client-config", "--client", client, "--write", "--file", str(file), cwd=project, env=env)
        assert "hunter2" not in file.read_text() + done.stdout + done.stderr
        file.unlink()

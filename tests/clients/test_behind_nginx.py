"""Clients that this project did not write notice nothing of three replicas behind nginx."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import real_parts
from tests.clients.test_clients import probe, run
from tests.replicas.fleet import Fleet, fleet

pytestmark = [pytest.mark.real("nginx", "redis", "node-modules"), pytest.mark.xdist_group("replicas-clients")]


@pytest.fixture(scope="module")
def three(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("three"), bundle, 3) as running:
        yield running


@pytest.fixture(scope="module")
def expected(three: Fleet) -> dict[str, Any]:
    """The answers of one replica, asked past nginx."""
    return asyncio.run(probe(three.replicas[0].url, "auto"))


@pytest.mark.parametrize("script", ["sdk1.mjs", "client2.mjs legacy", "client2.mjs auto", "client2.mjs modern"])
def test_typescript(script: str, three: Fleet, scripts: Path, expected: dict[str, Any]) -> None:
    name, *era = script.split()
    line = [str(real_parts.node()), str(scripts / name), *era, three.front.url]
    assert json.loads(run(line)) == expected


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_inspector(era: str, three: Fleet, tmp_path: Path, expected: dict[str, Any]) -> None:
    launcher = real_parts.node_modules() / "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
    servers = tmp_path / "servers.json"
    entry = {"type": "streamable-http", "url": three.front.url}
    servers.write_text(json.dumps({"mcpServers": {"fixture": entry}}), encoding="utf-8")
    line = [str(real_parts.node()), str(launcher), "--cli", "--config", str(servers), "--server", "fixture"]
    line += ["--protocol-era", era, "--method"]
    tools = json.loads(run([*line, "tools/list"]))["tools"]
    assert [[tool["name"], tool["description"], tool["inputSchema"]] for tool in tools] == expected["tools"]
    call = ["tools/call", "--tool-name", "test_x_mcp_header", "--tool-arg", "region=eü", "query=q"]
    answer = json.loads(run([*line, *call]))
    assert [answer["content"], answer["structuredContent"]] == expected["header"]

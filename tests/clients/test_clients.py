"""Clients that this project did not write get the same answers, in each era and over each transport."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from tests import real_parts
from tests.serve.process import HttpServer, command

TRANSPORTS = ["http", "stdio"]


def wire(value: Any) -> Any:
    return value and value.model_dump(by_alias=True, mode="json", exclude_none=True)


async def probe(target: Any, mode: str) -> dict[str, Any]:
    """What `steps.mjs` does, with the Python client."""
    reports: list[list[Any]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        reports.append([progress, total, message])

    async with Client(target, mode=mode) as client:
        tools = (await client.list_tools()).tools
        text = await client.call_tool("test_simple_text", {})
        mixed = await client.call_tool("test_multiple_content_types", {})
        header = await client.call_tool("test_x_mcp_header", {"region": "eü", "query": "q"})
        failed = await client.call_tool("test_error_handling", {})
        await client.call_tool("test_tool_with_progress", {}, progress_callback=on_progress)
        resource = await client.read_resource("test://template/7/data")
        prompt = await client.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
        return {
            "server": wire(client.server_info),
            "instructions": client.instructions,
            "tools": [[tool.name, tool.description, tool.input_schema] for tool in tools],
            "text": wire(text)["content"],
            "mixed": wire(mixed)["content"],
            "header": [wire(header)["content"], header.structured_content],
            "failed": [failed.is_error, wire(failed)["content"]],
            "progress": reports,
            "resource": wire(resource)["contents"],
            "prompt": wire(prompt)["messages"],
        }


@pytest.fixture(scope="session")
def expected(server: HttpServer) -> dict[str, Any]:
    """The answers as the Python client reads them in the newer era; the rest is held against these."""
    answers = asyncio.run(probe(server.url, "auto"))
    assert answers["text"] == [{"type": "text", "text": "This is a simple text response for testing."}]
    assert [block["type"] for block in answers["mixed"]] == ["text", "image", "resource"]
    assert answers["header"][1] == {"result": "q in eü"}
    failed = "Error executing tool test_error_handling: This tool intentionally returns an error for testing"
    assert answers["failed"] == [True, [{"type": "text", "text": failed}]]
    assert [done for done, _, _ in answers["progress"]] == [0, 50, 100]
    assert answers["instructions"] == "Call what you like"
    return answers


def target(transport: str, server: HttpServer, bundle: Path) -> list[str]:
    return [server.url] if transport == "http" else command(bundle)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("mode", ["auto", "legacy", "2026-07-28"])
def test_python(mode: str, transport: str, server: HttpServer, bundle: Path, expected: dict[str, Any]) -> None:
    where = target(transport, server, bundle)
    reached = (
        where[0]
        if transport == "http"
        else StdioServerParameters(command=where[0], args=where[1:], env=dict(os.environ))
    )
    answers = asyncio.run(probe(reached, mode))
    if mode == "2026-07-28":
        # A pinned client of this library asks for nothing it does not need: it never learns who answers.
        assert (answers.pop("server"), answers.pop("instructions")) == (None, None)
    assert answers.items() <= expected.items()
    assert len(answers) >= 8


@pytest.mark.real("node-modules")
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("script", ["sdk1.mjs", "client2.mjs legacy", "client2.mjs auto", "client2.mjs modern"])
def test_typescript(
    script: str, transport: str, server: HttpServer, bundle: Path, scripts: Path, expected: dict[str, Any]
) -> None:
    name, *era = script.split()
    line = [str(real_parts.node()), str(scripts / name), *era, *target(transport, server, bundle)]
    assert json.loads(run(line)) == expected


@pytest.mark.real("node-modules")
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("era", ["legacy", "auto", "modern"])
def test_inspector(
    era: str, transport: str, server: HttpServer, bundle: Path, tmp_path: Path, expected: dict[str, Any]
) -> None:
    launcher = real_parts.node_modules() / "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
    servers = tmp_path / "servers.json"
    program, *arguments = command(bundle)
    entry = (
        {"type": "streamable-http", "url": server.url}
        if transport == "http"
        else {"type": "stdio", "command": program, "args": arguments, "env": dict(os.environ)}
    )
    servers.write_text(json.dumps({"mcpServers": {"fixture": entry}}), encoding="utf-8")
    line = [str(real_parts.node()), str(launcher), "--cli", "--config", str(servers), "--server", "fixture"]
    line += ["--protocol-era", era, "--method"]
    tools = json.loads(run([*line, "tools/list"]))["tools"]
    assert [[tool["name"], tool["description"], tool["inputSchema"]] for tool in tools] == expected["tools"]
    call = ["tools/call", "--tool-name", "test_x_mcp_header", "--tool-arg", "region=eü", "query=q"]
    answer = json.loads(run([*line, *call]))
    assert [answer["content"], answer["structuredContent"]] == expected["header"]


def run(line: list[str]) -> str:
    done = subprocess.run(line, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

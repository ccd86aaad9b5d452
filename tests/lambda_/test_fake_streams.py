"""The whole way of a streamed answer: a deployed function, its URL, a client that hears of a step before the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mcp_packager.testing import Pack, Project
from mcp_packager.verify import McpClient, texts
from tests.lambda_.fake import running
from tests.lambda_.test_suite import OPTIONS
from tests.serve.process import ENVELOPE, JSON, MODERN

pytestmark = [pytest.mark.real("lambda-emulator", "python3.13"), pytest.mark.timeout(600)]

_STEPS = '''

import asyncio
from pathlib import Path

from mcp_tool import Context


@tool
async def steps(ctx: Context, folder: Path) -> str:
    """Tell of a step, and wait until somebody has heard of it."""
    await ctx.progress(1, 2, "half")
    while not (folder / "heard").exists():
        await asyncio.sleep(0.01)
    return "done"


@tool
async def breaks(ctx: Context) -> str:
    """Tell of a step, and go away."""
    import os

    await ctx.progress(1, 2, "half")
    os._exit(7)
'''


@pytest.fixture
def pack(tmp_path: Path) -> Iterator[Pack]:
    (tmp_path / "aws").mkdir()
    project = Project(tmp_path / "suite", "lambda", f"{OPTIONS}streaming = true\n", unasked=True)
    project.write("1.0.0")
    with (project.folder / "suite_tool.py").open("a", encoding="utf-8") as file:
        file.write(_STEPS)
    with running(tmp_path / "aws") as cloud:
        yield Pack(project.folder, "lambda", {"MCP_PACK_HOME": str(tmp_path / "home"), **cloud.environ})


def _call(url: str, name: str, arguments: dict[str, str]) -> Iterator[bytes]:
    """The lines of an answer as they come."""
    params = {"name": name, "arguments": arguments, "_meta": {**ENVELOPE, "progressToken": 7}}
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    headers = JSON | {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": name}
    place = urlsplit(url)
    connection = HTTPConnection(place.netloc, timeout=60)
    try:
        connection.request("POST", place.path, text, headers)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["transfer-encoding"]) == (200, "chunked")
        while line := answer.readline():
            yield line
    finally:
        connection.close()


def test_progress_is_heard_through_the_url_while_the_tool_runs(pack: Pack, tmp_path: Path) -> None:
    url = pack.deploy()["endpoint"]["url"]
    lines = _call(url, "steps", {"folder": str(tmp_path)})
    assert any(b"half" in line for line in lines), "heard before the tool may end"
    (tmp_path / "heard").touch()
    assert b"done" in b"".join(lines)
    cut = _call(url, "breaks", {})
    assert any(b"half" in line for line in cut)
    assert b"result" not in b"".join(cut), "an answer that ends early is no answer"
    assert texts(McpClient(url).call_tool("greet", {"name": "you"})).endswith("1.0.0.")
    pack.run("destroy", "--yes", "--data")

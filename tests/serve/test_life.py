"""From SIGTERM to the end: what was accepted is answered, what still comes is told to go elsewhere, exit 0."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.serve.process import JSON, LEGACY, HttpServer, http_server, make_bundle, message, stdio_server
from tests.serve.test_http import SOURCE, eventually, outcomes, refuses, start_waiting

STREAMING = (
    SOURCE
    + '''

@tool
async def report(context: Context, folder: Path) -> str:
    """Report progress, then wait until told to go on."""
    await context.progress(1, 2, "half")
    while not (folder / "go").exists():
        await asyncio.sleep(0.01)
    return "done"


@tool
async def block_for(seconds: float) -> str:
    """Stop the event loop for a while."""
    nap(seconds)
    return "awake"


def nap(seconds):
    time.sleep(seconds)
'''
)

WRAPPED = """
import time

from mcp.server import MCPServer

server = MCPServer("theirs")


@server.tool()
async def block_for(seconds: float) -> str:
    nap(seconds)
    return "awake"


def nap(seconds):
    time.sleep(seconds)
"""

LOOPS: dict[str, Sequence[str]] = {"uvloop": (), "asyncio": ("uvloop", "httptools")}
PING = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()


@pytest.fixture(params=list(LOOPS))
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HttpServer]:
    bundle = make_bundle(tmp_path / "bundle", STREAMING)
    settings = {"serve": {"drain": 15, "drain_delay": 0.3}}
    with http_server(bundle, settings, without=LOOPS[request.param]) as running:
        yield running


class Half:
    """A connection on which half a head has been sent."""

    def __init__(self, server: HttpServer) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        self._socket.sendall(b"POST /mcp HTTP/1.1\r\nhost: localhost\r\n")

    def answer(self) -> http.client.HTTPResponse:
        """Send the rest."""
        head = "".join(f"{name}: {value}\r\n" for name, value in {**JSON, "content-length": str(len(PING))}.items())
        self._socket.sendall(f"{head}\r\n".encode() + PING)
        answer = http.client.HTTPResponse(self._socket)
        answer.begin()
        answer.read()
        answer.close()
        self._socket.close()
        return answer

    def close(self) -> None:
        self._socket.close()


def test_what_runs_longer_than_the_delay_finishes_and_what_comes_after_it_is_refused(
    server: HttpServer, tmp_path: Path
) -> None:
    kinds = [(era, tool) for era in ("legacy", "modern") for tool in ("wait", "block")]
    running = start_waiting(server, tmp_path, *kinds)
    kept = [Half(server) for _ in range(40)]
    server.process.terminate()
    assert eventually(lambda: refuses(server))
    refused: list[http.client.HTTPResponse] = []

    def told() -> bool:
        answer = kept.pop().answer()
        assert answer.headers["connection"] == "close"
        refused.extend([answer] if answer.status == 503 else [])
        return bool(refused)

    assert eventually(told)
    assert refused[0].headers["retry-after"] == "1"
    assert server.process.poll() is None
    (tmp_path / "go").touch()
    assert outcomes(running) == [False] * 4
    assert server.process.wait(20) == 0
    for left in kept:
        left.close()
    assert not [line for line in server.lines() if line["level"] == "error"]


def test_streams_of_older_clients_come_to_their_end(server: HttpServer, tmp_path: Path) -> None:
    params = {"name": "report", "arguments": {"folder": str(tmp_path)}, "_meta": {"progressToken": "t"}}
    body = json.dumps({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params}).encode()
    connection = server.connection()
    connection.request("POST", "/mcp", body, {**JSON, "mcp-protocol-version": LEGACY})
    stream = connection.getresponse()
    assert any(b"notifications/progress" in stream.readline() for _ in range(5))
    server.process.terminate()
    assert eventually(lambda: refuses(server))
    (tmp_path / "go").touch()
    last = message(stream.read())
    assert (last["id"], last["result"]["content"][0]["text"]) == (5, "done")
    connection.close()
    assert server.process.wait(20) == 0


def test_no_call_that_was_accepted_is_lost(server: HttpServer) -> None:
    found: Counter[str] = Counter()
    lock, over = threading.Lock(), threading.Event()

    def knock(number: int) -> None:
        ask = (server.legacy, server.modern)[number % 2]
        while not over.is_set():
            try:
                result = ask("tools/call", {"name": "add", "arguments": {"a": number}})["result"]
                outcome = "answered" if result["structuredContent"] == {"result": number} else "wrong"
            except ConnectionRefusedError:
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
                outcome = repr(error)
            with lock:
                found[outcome] += 1

    threads = [threading.Thread(target=knock, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    assert eventually(lambda: found["answered"] > 100)
    before = found["answered"]
    server.process.terminate()
    code = server.process.wait(30)
    over.set()
    for thread in threads:
        thread.join()
    assert code == 0
    assert set(found) == {"answered"}
    assert found["answered"] > before


def test_idle_connections_are_let_go_at_once(server: HttpServer) -> None:
    connections = [server.connection() for _ in range(5)]
    for connection in connections:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
    start = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - start < 10  # not the time to drain
    for connection in connections:
        connection.close()


class TestWatchdog:
    """What blocks the event loop is named."""

    def test_over_http(self, server: HttpServer) -> None:
        server.modern("tools/call", {"name": "block_for", "arguments": {"seconds": 1.7}}, **{"x-request-id": "mine"})
        blocks, over = block(server.log)
        assert blocks["msg"].startswith("tool 'block_for' blocks the event loop")
        assert (blocks["request_id"], blocks["tool"], over["tool"]) == ("mine", "block_for", "block_for")
        assert "time.sleep(seconds)" in blocks["stack"]
        assert "mcp_tool" not in blocks["stack"]
        assert over["seconds"] >= 1
        # Once is enough: nothing blocks any more.
        server.modern("tools/call", {"name": "add", "arguments": {"a": 1}})
        assert len([line for line in server.lines() if "in nap" in line.get("stack", "")]) == 1

    def test_in_a_server_of_another_library(self, tmp_path: Path) -> None:
        bundle = make_bundle(tmp_path / "wrapped", WRAPPED, entrypoint="server:server")
        with http_server(bundle) as server:
            asked = {"name": "block_for", "arguments": {"seconds": 1.7}}
            server.modern("tools/call", asked, **{"x-request-id": "mine"})
            assert block(server.log)[0]["request_id"] == "mine"

    def test_over_stdio(self, tmp_path: Path) -> None:
        bundle = make_bundle(tmp_path / "stdio", STREAMING)
        with stdio_server(bundle) as server:
            server.initialize()
            server.call("block_for", {"seconds": 1.7})
            assert server.receive()["result"]["isError"] is False
            assert block(bundle / "stderr.log")[0]["tool"] == "block_for"


def block(log: Path) -> list[dict[str, Any]]:
    """What the watchdog says of the tool's block, and of its end. On a busy machine it may have more to tell."""

    def told() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        lines = [line for line in lines if "the event loop" in line["msg"]]
        at = next((number for number, line in enumerate(lines) if "in nap" in line.get("stack", "")), len(lines))
        return lines[at : at + 2]

    assert eventually(lambda: len(told()) == 2)
    return told()

"""What a network asks of a server, over real sockets."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serve.process import ENVELOPE, JSON, LEGACY, MODERN, HttpServer, http_server, make_bundle, message

SOURCE = '''
import asyncio
import time
from pathlib import Path

from mcp_tool import Context, tool


@tool
def add(a: int, b: int = 0) -> int:
    """Add two numbers."""
    return a + b


@tool
async def wait(folder: Path, name: str) -> str:
    """Wait on the event loop until told to go on."""
    (folder / name).touch()
    while not (folder / "go").exists():
        await asyncio.sleep(0.01)
    return "waited"


@tool
def block(folder: Path, name: str) -> str:
    """Wait in a worker thread until told to go on."""
    (folder / name).touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    return "blocked"


@tool
async def block_loop(folder: Path, name: str) -> str:
    """Stop the event loop until told to go on."""
    (folder / name).touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    return "stopped"


@tool
async def told(context: Context) -> str:
    """Say that the tools changed."""
    await context.tools_changed()
    return "told"
'''

LIMITS = {
    "serve": {"concurrency": 2, "max_body": 4096, "allowed_hosts": ["tool.test"], "public_url": "https://pub.test/mcp"}
}
INITIALIZE = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("http") / "bundle", SOURCE)


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[HttpServer]:
    with http_server(bundle, LIMITS) as running:
        yield running


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def in_background(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Work in a thread; no result where the server hung up."""
    results: list[Any] = []

    def run() -> None:
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            results.append(work())

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def test_health_and_readiness(server: HttpServer) -> None:
    assert server.request("GET", "/healthz")[::2] == (200, b'{"status":"ok"}')
    assert server.request("GET", "/readyz", headers={"host": "10.0.0.7:8000"})[0] == 200


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
def test_both_spellings_of_the_path_answer(server: HttpServer, path: str) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}).encode()
    status, headers, answer = server.request("POST", path, body, JSON)
    assert status == 200
    assert "location" not in headers
    assert "mcp-session-id" not in headers
    assert message(answer)["result"]["serverInfo"]["name"] == "test-tool"


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "OPTIONS"])
def test_only_post_is_served(server: HttpServer, method: str) -> None:
    status, headers, _ = server.request(method, "/mcp", headers={"accept": "text/event-stream"})
    assert (status, headers["allow"]) == (405, "POST")


def test_other_paths_are_not_found(server: HttpServer) -> None:
    assert server.request("POST", "/", b"{}", JSON)[0] == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("127.0.0.1:9", 200),
        ("[::1]:9", 200),
        ("tool.test", 200),
        ("tool.test:443", 200),
        ("pub.test", 200),
        ("evil.test", 421),
        ("localhost.evil.test", 421),
        ("evil.test:localhost", 421),
        ("", 421),
    ],
)
def test_hosts(server: HttpServer, host: str, status: int) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
    assert server.request("POST", "/mcp", body, {**JSON, "host": host})[0] == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:5173", 200),
        ("https://127.0.0.1", 200),
        ("https://pub.test", 200),
        ("http://pub.test", 403),
        ("https://evil.test", 403),
        ("http://localhost.evil.test", 403),
        ("null", 403),
    ],
)
def test_origins(server: HttpServer, origin: str, status: int) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
    assert server.request("POST", "/mcp", body, {**JSON, "origin": origin})[0] == status


def test_a_large_request_is_refused_with_and_without_its_length(server: HttpServer) -> None:
    assert server.request("POST", "/mcp", b"x" * 5000, JSON)[0] == 413
    connection = server.connection()
    connection.request("POST", "/mcp", iter([b"x" * 3000, b"x" * 3000]), JSON, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def start_waiting(
    server: HttpServer, folder: Path, *calls: tuple[str, str]
) -> list[tuple[threading.Thread, list[Any]]]:
    """Calls of (era, tool) that have arrived, and go on when the folder holds a file `go`."""
    running = []
    for number, (era, tool) in enumerate(calls):
        ask = server.legacy if era == "legacy" else server.modern
        call = {"name": tool, "arguments": {"folder": str(folder), "name": str(number)}}
        running.append(in_background(functools.partial(ask, "tools/call", call)))
    assert eventually(lambda: all((folder / str(number)).exists() for number in range(len(calls))))
    return running


def outcomes(running: list[tuple[threading.Thread, list[Any]]]) -> list[Any]:
    for thread, _ in running:
        thread.join()
    return [results[0].get("result", {}).get("isError") if results else None for _, results in running]


def test_too_many_at_once_are_told_to_come_back(server: HttpServer, tmp_path: Path) -> None:
    running = start_waiting(server, tmp_path, ("legacy", "wait"), ("modern", "wait"))
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
    status, headers, _ = server.request("POST", "/mcp", body, JSON)
    assert (status, headers.get("retry-after")) == (503, "1")
    assert server.request("GET", "/readyz")[0] == 200
    (tmp_path / "go").touch()
    assert outcomes(running) == [False, False]
    assert eventually(lambda: server.request("POST", "/mcp", body, JSON)[0] == 200)


def test_white_space_around_header_values_is_no_part_of_them(server: HttpServer) -> None:
    params = {"name": "add", "arguments": {"a": 1, "b": 2}, "_meta": ENVELOPE}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    head = {**JSON, "host": "localhost", "content-length": str(len(body)), "mcp-protocol-version": MODERN}
    head |= {"mcp-method": "tools/call", "mcp-name": " \tadd \t", "connection": "close"}
    raw = "POST /mcp HTTP/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in head.items()) + "\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw_socket:
        raw_socket.sendall(raw.encode() + body)
        answer = b"".join(iter(lambda: raw_socket.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 "), answer


def test_one_line_of_json_for_each_request_and_none_for_health(server: HttpServer) -> None:
    def line(identity: str) -> list[dict[str, Any]]:
        return [line for line in server.lines() if line.get("request_id") == identity]

    for path in ("/healthz", "/readyz"):
        server.request("GET", path, headers={"x-request-id": "health-1"})
    server.modern("tools/call", {"name": "add", "arguments": {"a": 1}}, **{"x-request-id": "one-of-mine"})
    assert eventually(lambda: bool(line("one-of-mine")))
    (found,) = line("one-of-mine")
    assert {"level": "info", "msg": "request", "method": "tools/call", "status": 200}.items() <= found.items()
    assert found["duration_ms"] > 0
    assert line("health-1") == []


def test_eras_answer_alike(server: HttpServer) -> None:
    old = server.legacy("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}})["result"]
    new = server.modern("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}})["result"]
    assert old["structuredContent"] == new["structuredContent"] == {"result": 3}
    assert new["resultType"] == "complete"
    assert "resultType" not in old


def refuses(server: HttpServer) -> bool:
    try:
        server.request("GET", "/healthz")
    except OSError:
        return True
    return False


class TestStop:
    """SIGTERM: not ready, calls finish, streams end, exit 0."""

    @pytest.fixture
    def server(self, bundle: Path) -> Iterator[HttpServer]:
        with http_server(bundle, {"serve": {"drain": 10}}) as running:
            yield running

    def test_calls_in_flight_finish(self, server: HttpServer, tmp_path: Path) -> None:
        kinds = [(era, tool) for era in ("legacy", "modern") for tool in ("wait", "block")]
        running = start_waiting(server, tmp_path, *kinds)
        server.process.terminate()
        assert eventually(lambda: refuses(server))
        (tmp_path / "go").touch()
        assert outcomes(running) == [False] * 4
        assert server.process.wait(20) == 0

    def test_listen_streams_end_properly_and_do_not_hold_it_up(self, server: HttpServer) -> None:
        connection = server.connection()
        params = {"notifications": {"toolsListChanged": True}, "_meta": ENVELOPE}
        body = json.dumps({"jsonrpc": "2.0", "id": 9, "method": "subscriptions/listen", "params": params}).encode()
        head = {**JSON, "mcp-protocol-version": MODERN, "mcp-method": "subscriptions/listen"}
        connection.request("POST", "/mcp", body, head)
        stream = connection.getresponse()
        assert b"subscriptions/acknowledged" in stream.readline() + stream.readline()
        server.modern("tools/call", {"name": "told", "arguments": {}})
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 5  # the time to drain, which it must not use up
        rest = stream.read().decode()
        connection.close()
        assert "notifications/tools/list_changed" in rest
        assert message(rest.encode())["id"] == 9
        assert "result" in message(rest.encode())

    def test_what_will_not_finish_is_cut_off_in_time(self, bundle: Path, tmp_path: Path) -> None:
        shutil.copytree(bundle, tmp_path / "bundle")
        limits = {"serve": {"drain": 1}}
        with http_server(bundle, limits) as one, http_server(tmp_path / "bundle", limits) as two:
            (tmp_path / "two").mkdir()
            running = start_waiting(one, tmp_path, ("modern", "block"))
            running += start_waiting(two, tmp_path / "two", ("modern", "block_loop"))
            start = time.monotonic()
            one.process.terminate()
            assert [two.stop(), one.process.wait(20)] == [0, 0]
            assert time.monotonic() - start < 8  # 1 to drain and 2 to clean up, on a busy machine
            outcomes(running)

    def test_a_load_balancer_can_see_it_coming(self, bundle: Path) -> None:
        with http_server(bundle, {"serve": {"drain_delay": 4}}) as server:

            def leaves() -> bool:
                status, _, body = server.request("GET", "/readyz")
                return status == 503 and json.loads(body)["reasons"] == ["draining"]

            server.process.terminate()
            assert eventually(leaves)
            assert server.request("GET", "/healthz")[0] == 200
            assert server.modern("tools/call", {"name": "add", "arguments": {"a": 1}})["result"]["isError"] is False
            assert server.process.wait(10) == 0

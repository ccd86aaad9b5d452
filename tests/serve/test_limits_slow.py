"""Clients that take their time: none holds a place for longer than it may."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from mcp_tool.serve.http.connections import Sweep
from tests.serve.process import JSON, HttpServer, http_server, make_bundle
from tests.serve.test_http import SOURCE, eventually

LARGE = (
    SOURCE
    + '''

@tool
def large(size: int) -> str:
    """Say a lot."""
    return "x" * size
'''
)


@pytest.fixture(scope="module", params=["httptools", "h11"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """A server in a hurry, with one place."""
    bundle = make_bundle(tmp_path_factory.mktemp("slow") / request.param, LARGE)
    config = {"serve": {"concurrency": 1}}
    without = () if request.param == "httptools" else ("uvloop", "httptools")
    with http_server(bundle, config, without=without, module="tests.serve.hurried") as running:
        yield running


def until_closed(connection: socket.socket) -> bytes:
    with contextlib.suppress(ConnectionResetError):
        return b"".join(iter(lambda: connection.recv(65536), b""))
    return b""


@pytest.mark.parametrize("begun", [b"", b"P", b"POST /mcp HTTP/1.1\r\nhost: localhost\r\nx:"])
def test_a_head_that_does_not_come_ends_the_connection(server: HttpServer, begun: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(begun)
        assert until_closed(connection) == b""


def test_a_second_head_that_does_not_come_too(server: HttpServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET")
        until_closed(connection)


def test_a_connection_that_waits_for_its_next_request_stays(server: HttpServer) -> None:
    connection = server.connection()
    connection.request("GET", "/healthz")
    connection.getresponse().read()
    kept = connection.sock
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as other:
        assert until_closed(other) == b""  # by now the time is over for what was no request
    connection.request("GET", "/healthz")
    assert connection.getresponse().read() == b'{"status":"ok"}'
    assert connection.sock is kept
    connection.close()


def test_a_body_that_does_not_come_gives_its_place_back(server: HttpServer) -> None:
    head = "".join(
        f"{name}: {value}\r\n" for name, value in {**JSON, "host": "localhost", "content-length": "9"}.items()
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(f"POST /mcp HTTP/1.1\r\n{head}\r\n{{".encode())
        answer = until_closed(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert call(server, 1) == 200


def test_an_answer_that_nobody_reads_gives_its_place_back(server: HttpServer) -> None:
    body = message(64 * 1024 * 1024)
    head = "".join(f"{name}: {value}\r\n" for name, value in {**JSON, "content-length": str(len(body))}.items())
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(f"POST /mcp HTTP/1.1\r\nhost: localhost\r\n{head}\r\n".encode() + body)
        assert connection.recv(1)  # the answer has begun, and no more of it is read
        assert eventually(lambda: call(server, 1) == 200, 20)


def message(size: int) -> bytes:
    call = {"name": "large", "arguments": {"size": size}}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}).encode()


def call(server: HttpServer, size: int) -> int:
    return server.request("POST", "/mcp", message(size), JSON)[0]


@dataclass(eq=False)
class Connection:
    """What the sweep looks at of a connection."""

    idle: bool
    ended: str = ""

    def __post_init__(self) -> None:
        self.cycle = SimpleNamespace(response_complete=self.idle)
        self.timeout_keep_alive_task = object() if self.idle else None
        self.flow = SimpleNamespace(write_paused=False)
        self.transport = self

    def close(self) -> None:
        self.ended = "closed"


def test_where_there_are_too_many_those_that_wait_go_first() -> None:
    connections: set[Any] = {Connection(idle=number % 2 == 0) for number in range(20)}
    Sweep(connections, most=15)()
    assert sorted((one.idle, one.ended) for one in connections) == (
        [(False, "")] * 10 + [(True, "")] * 5 + [(True, "closed")] * 5
    )

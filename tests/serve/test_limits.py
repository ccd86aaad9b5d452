"""How often, how much, how long: every limit, in this process, across replicas, and over real sockets."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests.serve.process import ENVELOPE, JSON, LEGACY, MODERN, HttpServer, http_server, make_bundle
from tests.serve.test_http import SOURCE, eventually


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("limits") / "bundle", SOURCE)


PING = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()


def status(server: HttpServer, **sent: str) -> int:
    return server.request("POST", "/mcp", PING, JSON | sent)[0]


def call(server: HttpServer, era: str, tool: str, **arguments: Any) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and the JSON document of one tools/call."""
    params: dict[str, Any] = {"name": tool, "arguments": arguments}
    head = {**JSON, "mcp-protocol-version": LEGACY}
    if era == "modern":
        params["_meta"] = ENVELOPE
        head |= {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": tool}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    answer = server.request("POST", "/mcp", body, head)
    return answer[0], answer[1], json.loads(answer[2]) if answer[2].startswith(b"{") else {}


LIMITS: dict[str, Any] = {
    "serve": {
        "concurrency": 2,
        "max_body": 4096,
        "timeout": 0.3,
        "rate": {"calls": 40, "per": 3600},
        "trusted_proxies": ["127.0.0.0/8"],
    }
}


@pytest.fixture(params=["author", "double"])
def server(request: pytest.FixtureRequest, bundle: Path, tmp_path: Path) -> Iterator[HttpServer]:
    """The author's tools, and something else behind the seam: the limits do not know the difference."""
    if request.param == "author":
        with http_server(bundle, LIMITS) as running:
            yield running
        return
    copy = make_bundle(tmp_path / "double", SOURCE)
    line = [
        sys.executable,
        "-m",
        "mcp_tool",
        "contract",
        "--bundle",
        str(copy),
        "--output",
        str(copy / "contract.json"),
    ]
    subprocess.run(line, check=True, timeout=30, env=dict(os.environ))
    (copy / "app" / "server.py").write_text("raise AssertionError('the double needs no tool')", encoding="utf-8")
    with http_server(copy, LIMITS, module="tests.serve.limited_double") as running:
        yield running


class TestSeam:
    """Each limit, whatever answers behind it."""

    def test_every_limit_is_answered_and_counted_by_its_name(self, server: HttpServer, tmp_path: Path) -> None:
        quick = {era: call(server, era, "add", a=1, b=2) for era in ("legacy", "modern")}
        assert [answer[0] for answer in quick.values()] == [200, 200]

        large = server.request("POST", "/mcp", b"x" * 5000, JSON)
        assert (large[0], json.loads(large[2])["id"]) == (413, None)

        for era in ("legacy", "modern"):
            late = server.legacy if era == "legacy" else server.modern
            result = late("tools/call", {"name": "wait", "arguments": {"folder": str(tmp_path), "name": "late"}})[
                "result"
            ]
            assert result["isError"] is True
            assert "timed out after 0.3 s" in result["content"][0]["text"]

        gathered = [call(server, era, "add", a=1) for era in ("legacy", "modern") for _ in range(20)]
        over = [answer for answer in gathered if answer[0] == 429]
        assert {answer[0] for answer in gathered} == {200, 429}
        _, told, document = over[-1]
        assert int(told["retry-after"]) > 0
        assert told["ratelimit"].startswith('"caller";r=0;t=')
        assert document["error"]["code"] == -32000
        assert status(server, **{"x-forwarded-for": "192.0.2.7"}) == 200  # another caller

        wanted = {"too_large", "rate"}
        assert eventually(lambda: {line.get("refused") for line in server.lines()} >= wanted)

    def test_the_third_of_two_is_told_to_come_back(self, server: HttpServer) -> None:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
        with Held(server, body) as one, Held(server, body) as two:
            assert eventually(lambda: call(server, "modern", "add", a=1)[0] == 503)
            answer, told, document = call(server, "legacy", "add", a=1)
            assert (answer, told["retry-after"], document["error"]["message"]) == (503, "1", "The server is busy")
            assert server.request("GET", "/healthz")[0] == server.request("GET", "/readyz")[0] == 200
            assert [held.finish() for held in (one, two)] == [200, 200]
        assert eventually(lambda: call(server, "modern", "add", a=1)[0] == 200)


class Held:
    """A request whose body has not come yet: it holds a place."""

    def __init__(self, server: HttpServer, body: bytes) -> None:
        self._body = body
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        head = {**JSON, "host": "localhost", "content-length": str(len(body)), "connection": "close"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        self._socket.sendall(f"POST /mcp HTTP/1.1\r\n{lines}\r\n".encode() + body[:1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def finish(self) -> int:
        """Send the rest; the answer's status."""
        self._socket.sendall(self._body[1:])
        return int(self._socket.makefile("rb").readline().split()[1])


@pytest.fixture(scope="module", params=["fast", "plain"])
def open_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """With httptools and uvloop, and without."""
    own = make_bundle(tmp_path_factory.mktemp("limits") / request.param, SOURCE)
    without = () if request.param == "fast" else ("uvloop", "httptools")
    with http_server(own, {"serve": {"max_body": 4096}}, without=without) as running:
        yield running


def exchange(server: HttpServer, *parts: bytes, leave: bool = False) -> bytes:
    """What comes back for these bytes, until the server closes; with `leave` the client says that it goes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        # At once: a server that answers the first part and closes would reset the connection at the second.
        connection.sendall(b"".join(parts))
        if leave:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def head(*lines: str) -> bytes:
    fixed = (
        "POST /mcp HTTP/1.1",
        "host: localhost",
        "content-type: application/json",
        "accept: application/json, text/event-stream",
        "connection: close",
    )
    return "\r\n".join((*fixed, *lines, "", "")).encode()


class TestSizes:
    """However a length is told, or not told, or lied about."""

    @pytest.mark.parametrize(
        ("sent", "statuses"),
        [
            ((head("content-length: 5000"),), {413}),
            ((head("content-length: 99999999999999999999"),), {413, 400}),
            ((head("content-length: 10"), b"x" * 9000), {400}),
            ((head("content-length: -1"), b"x"), {400}),
            ((head("content-length: 0x10"), b"x" * 16), {400}),
            ((head("content-length: 5", "content-length: 6"), b"x" * 6), {400}),
            ((head("content-length: 5", "transfer-encoding: chunked"), b"0\r\n\r\n"), {400}),
            ((head("transfer-encoding: chunked"), b"1388\r\n" + b"x" * 5000 + b"\r\n0\r\n\r\n"), {413}),
            ((head("transfer-encoding: chunked"), *(b"400\r\n" + b"x" * 1024 + b"\r\n" for _ in range(6))), {413}),
            ((head("transfer-encoding: chunked"), b"fffffffffffffffffff\r\n" + b"x" * 5000), {400, 413}),
            ((head("transfer-encoding: gzip, chunked"), b"0\r\n\r\n"), {400, 501}),
        ],
    )
    def test_sizes(self, open_server: HttpServer, sent: tuple[bytes, ...], statuses: set[int]) -> None:
        answer = exchange(open_server, *sent)
        assert int(answer.split()[1]) in statuses, answer
        assert status(open_server) == 200

    def test_a_client_that_leaves_before_its_body_is_whole_is_gone(self, open_server: HttpServer) -> None:
        given = f"half-{open_server.port}"
        half = head("content-length: 400", f"x-request-id: {given}")
        assert exchange(open_server, half, b"x" * 399, leave=True) == b""

        def told() -> list[str]:
            return [line["outcome"] for line in open_server.lines() if line.get("request_id") == given]

        assert eventually(lambda: told() == ["gone"])

    def test_a_body_just_as_large_as_it_may_be_is_read(self, open_server: HttpServer) -> None:
        body = PING + b" " * (4096 - len(PING))
        assert open_server.request("POST", "/mcp", body, JSON)[0] == 200
        assert open_server.request("POST", "/mcp", body + b" ", JSON)[0] == 413


def test_nobody_is_believed_without_being_named(open_server: HttpServer) -> None:
    assert status(open_server, **{"x-forwarded-host": "evil.test"}) == 200
    assert status(open_server, host="evil.test", **{"x-forwarded-host": "localhost"}) == 421

"""Bad input of every kind, over real sockets: no 500, no traceback in an answer, no hang, no growth.

Methods, paths, headers, bodies, encodings and lengths by hypothesis and by hand, against real server processes with
httptools and with h11. MCP_PACK_TEST_ALL=1 runs many more.
"""

from __future__ import annotations

import json
import os
import random
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.serve.process import ENVELOPE, JSON, LEGACY, MODERN, HttpServer, http_server, make_bundle
from tests.serve.test_http import SOURCE, eventually

WHOLE = os.environ.get("MCP_PACK_TEST_ALL") == "1"
EXAMPLES = 2000 if WHOLE else 120
ROUNDS = 3000 if WHOLE else 250
HANGS = 8.0
"""Seconds without an answer, and without the end of the connection, after which a server hangs."""

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not WHOLE,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", params=["httptools", "h11"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    bundle = make_bundle(tmp_path_factory.mktemp("fuzz") / request.param, SOURCE)
    without = () if request.param == "httptools" else ("uvloop", "httptools")
    config = {"serve": {"max_body": 16384, "trusted_proxies": ["127.0.0.0/8"]}}
    with http_server(bundle, config, without=without) as running:
        yield running
        assert running.process.poll() is None, "the server died"
        lines = [line for line in running.lines() if line["level"] == "error" or "traceback" in line]
        assert not lines, json.dumps(lines[:3], indent=1)


def exchange(server: HttpServer, raw: bytes) -> bytes:
    """All that comes back; the client says by a half-close that nothing more comes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=HANGS) as connection:
        received = []
        try:
            connection.sendall(raw)
            if b"connection: close" not in raw:
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                received.append(part)
        except TimeoutError:
            pytest.fail(f"no end after {HANGS} s of {raw[:2000]!r}: {b''.join(received)[:500]!r}")
        except OSError:
            pass  # it had enough, and closed
        return b"".join(received)


def check(server: HttpServer, raw: bytes) -> int:
    """The status of the answer, 0 without one; what no answer may be fails."""
    answer = exchange(server, raw)
    if not answer:
        return 0
    assert answer.startswith(b"HTTP/1."), answer[:200]
    answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n") or b"HTTP/1.1 204 nothing came after it"
    status = int(answer.split(None, 2)[1])
    assert 200 <= status < 500 or status in {501, 503}, (status, raw[:2000], answer[:500])
    for word in (b"Traceback", b'File "', b"site-packages", b"mcp_tool/"):
        assert word not in answer, (raw[:2000], answer[:2000])
    return status


def request(method: str, path: str, headers: list[tuple[str, bytes]], body: bytes, *, length: str | None = "") -> bytes:
    """The bytes of a request; `length` "" tells the right one, None none."""
    lines = [f"{method} {path} HTTP/1.1".encode("latin-1", "replace")]
    lines += [name.encode("latin-1", "replace") + b": " + value for name, value in headers]
    if length is not None:
        lines.append(b"content-length: " + (length or str(len(body))).encode())
    return b"\r\n".join([*lines, b"connection: close", b"", body])


GOOD = [("host", b"localhost")] + [(name, value.encode()) for name, value in JSON.items()]
METHODS = [
    *("initialize", "ping", "tools/call", "tools/list", "server/discover", "resources/read", "prompts/get"),
    *("completion/complete", "logging/setLevel", "notifications/initialized", "notifications/cancelled", "no/such"),
]
PATHS = ["/mcp", "/mcp/", "//", "*", "", "/%00", "/%ff", "/mcp?x", "http://a/mcp", "/../mcp", "/healthz", "/readyz"]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
params = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["add", "wait", "", "nope"]) | json_values,
        "arguments": st.fixed_dictionaries({}, optional={"a": json_values, "b": json_values}) | json_values,
        "uri": st.text(max_size=30) | json_values,
        "cursor": json_values,
        "protocolVersion": st.sampled_from([LEGACY, MODERN, "1"]) | json_values,
        "_meta": st.just(ENVELOPE) | json_values,
        "requestState": json_values,
        "inputResponses": json_values,
        "ref": json_values,
        "argument": json_values,
        "level": json_values,
    },
)
messages = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | json_values,
        "id": st.integers() | st.text(max_size=5) | json_values,
        "method": st.sampled_from(METHODS) | json_values,
        "params": params | json_values,
        "result": json_values,
    },
)
bodies = (
    messages.map(lambda document: json.dumps(document).encode())
    | st.lists(messages, max_size=3).map(lambda document: json.dumps(document).encode())
    | json_values.map(lambda document: json.dumps(document).encode())
    | st.binary(max_size=200)
    | st.sampled_from([b"[" * 5000, b'{"a":' * 3000, b"9" * 5000, b'"\\ud800"', b"\xef\xbb\xbf{}", b"null", b"", b"\0"])
    | messages.map(lambda document: json.dumps(document).encode("utf-16"))
)
tokens = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=40)
header_values = (
    tokens.map(lambda text: text.encode("latin-1"))
    | st.binary(max_size=30).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b""))
    | st.sampled_from([b"x" * 5000, b"a, b, c", b'"', b"*/*;q=x", b"Bearer", b"=?base64?!!?=", b"\xff\xfe", b"0"])
)
header_names = st.sampled_from(
    [
        "host",
        "origin",
        "accept",
        "content-type",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
        "mcp-session-id",
        "x-request-id",
        "traceparent",
        "tracestate",
        "authorization",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "last-event-id",
        "expect",
        "upgrade",
        "te",
        "content-encoding",
        "cookie",
        "range",
    ]
)
headers = st.lists(st.tuples(header_names, header_values), max_size=6)
known = st.sampled_from(
    [
        [],
        [("mcp-protocol-version", LEGACY.encode())],
        [("mcp-protocol-version", MODERN.encode()), ("mcp-method", b"tools/call"), ("mcp-name", b"add")],
        [("mcp-protocol-version", MODERN.encode()), ("mcp-method", b"tools/list")],
        [("mcp-protocol-version", b"2099-01-01")],
    ]
)


@fuzzed
@given(body=bodies, version=known)
def test_bodies(server: HttpServer, body: bytes, version: list[tuple[str, bytes]]) -> None:
    check(server, request("POST", "/mcp", GOOD + version, body))


@fuzzed
@given(version=known, extra=headers, message=messages)
def test_headers(
    server: HttpServer, version: list[tuple[str, bytes]], extra: list[tuple[str, bytes]], message: dict[str, Any]
) -> None:
    named = {name for name, _ in extra}
    base = [pair for pair in GOOD + version if pair[0] not in named]
    check(server, request("POST", "/mcp", base + extra, json.dumps(message).encode()))


@fuzzed
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "OPTIONS", "CONNECT", "TRACE", "get", "", "P OST", "\x00"]) | tokens,
    path=st.sampled_from(PATHS) | tokens.map(lambda text: "/" + text),
    length=st.sampled_from(["", "0", "-1", "1e3", "+2", "0x2", "2, 2", "2 2", "9" * 30, "\x0b2"]) | st.none(),
)
def test_lines_and_lengths(server: HttpServer, method: str, path: str, length: str | None) -> None:
    check(server, request(method, path, GOOD, b"{}", length=length))


@fuzzed
@given(raw=st.binary(max_size=300), cut=st.integers(0, 200), seed=st.integers(0, 2**32))
def test_bytes(server: HttpServer, raw: bytes, cut: int, seed: int) -> None:
    whole = bytearray(request("POST", "/mcp", GOOD, b'{"jsonrpc":"2.0","id":1,"method":"ping"}'))
    chance = random.Random(seed)
    for _ in range(1 + cut % 4):
        whole[chance.randrange(len(whole))] = chance.randrange(256)
    check(server, bytes(whole)[: max(1, len(whole) - cut)].replace(b"connection: close", b"connection: x"))
    check(server, raw)


START = b"POST /mcp HTTP/1.1\r\nhost: localhost\r\n"
UPGRADE = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\r\n"
CHUNKED = START + b"transfer-encoding: chunked\r\n\r\n"
BYTES = [
    b"POST /mcp HTTP/1.1\r\n\r\n",
    b"POST /mcp HTTP/1.0\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n",
    b"POST /mcp HTTP/9.9\r\nhost: localhost\r\n\r\n",
    b"POST /mcp HTTP/2.0\r\nhost: localhost\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST /mcp\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 50,
    START + b" continued: x\r\ncontent-length: 2\r\n\r\n{}",
    b"POST /mcp HTTP/1.1\r\nhost : localhost\r\n\r\n",
    b"POST /mcp HTTP/1.1\nhost: localhost\ncontent-length: 2\n\n{}",
    b"POST /mcp HTTP/1.1\r\n" + b"x: y\r\n" * 2000 + b"host: localhost\r\n\r\n",
    START + b"x: " + b"y" * 200_000 + b"\r\n\r\n",
    b"POST /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: localhost\r\n" + UPGRADE,
    START + b"expect: 100-continue\r\ncontent-length: 5\r\n\r\n{}",
    CHUNKED + b"zz\r\n",
    CHUNKED + b"2;ext=" + b"e" * 50_000 + b"\r\n{}\r\n0\r\n\r\n",
    CHUNKED + b"0\r\n" + b"t: v\r\n" * 5000 + b"\r\n",
    START + b"content-length: 2\r\n\r\n{}GET /healthz HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("raw", BYTES, ids=range(len(BYTES)))
def test_known_tricks(server: HttpServer, raw: bytes) -> None:
    check(server, raw)
    assert server.request("GET", "/healthz")[0] == 200


class TestGrowth:
    """What a process holds after a while is what it held before."""

    def test_nothing_is_kept_of_bad_requests(self, server: HttpServer) -> None:
        chance = random.Random(7)

        def odd() -> bytes:
            name = f"x-{chance.randrange(10**9)}"
            sent = [(name, b"y" * chance.randrange(200)), ("x-request-id", str(chance.random()).encode())]
            sent += [("x-forwarded-for", f"192.0.2.{chance.randrange(256)}".encode())]
            sent += [("mcp-protocol-version", chance.choice([LEGACY, MODERN, "1"]).encode())]
            method = chance.choice([*METHODS, f"made/{chance.random()}"])
            body = json.dumps({"jsonrpc": "2.0", "id": chance.random(), "method": method, "params": {name: 1}}).encode()
            path = chance.choice(["/mcp", "/mcp", f"/{chance.random()}"])
            return request(chance.choice(["POST", "POST", "GET"]), path, GOOD + sent, body[: chance.randrange(1, 400)])

        for _ in range(ROUNDS):
            check(server, odd())
        assert eventually(lambda: held(server)[1] < 60)
        before = held(server)
        seen: Counter[int] = Counter(check(server, odd()) for _ in range(2 * ROUNDS))
        assert len(seen) > 1
        assert eventually(lambda: held(server)[1] <= before[1])
        # A kibibyte a request would be a leak; the allocator's own moods are less.
        assert held(server)[0] - before[0] < max(2048, 2 * ROUNDS // 2)

    def test_connections_that_come_and_go_leave_no_descriptor(self, server: HttpServer) -> None:
        before = held(server)[1]
        for raw in (b"", b"POST", b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{"):
            for _ in range(30):
                with socket.create_connection(("127.0.0.1", server.port), timeout=HANGS) as connection:
                    connection.sendall(raw)
        assert eventually(lambda: held(server)[1] <= before)


def held(server: HttpServer) -> tuple[int, int]:
    """Resident memory in KiB, and open descriptors."""
    process = Path(f"/proc/{server.process.pid}")
    memory = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(memory.split()[1]), len(list((process / "fd").iterdir()))


@pytest.mark.parametrize(
    "begin",
    [b"POST /", b"POST /mcp HTTP/1.1\r\nx: ", START + b"content-length: 9999999\r\n\r\n", CHUNKED + b"0\r\n"],
    ids=["line", "header", "body", "trailer"],
)
def test_what_has_no_end_is_cut_off(server: HttpServer, begin: bytes) -> None:
    endless = b"t: v\r\n" * 2731 if begin.startswith(CHUNKED) else b"y" * 16384
    before = held(server)[0]
    with socket.create_connection(("127.0.0.1", server.port), timeout=HANGS) as connection:
        sent = 0
        try:
            connection.sendall(begin)
            while sent < 64 * 1024 * 1024:
                connection.sendall(endless)
                sent += len(endless)
        except OSError:
            pass
    assert sent < 64 * 1024 * 1024
    assert held(server)[0] - before < 16 * 1024
    assert server.request("GET", "/healthz")[0] == 200

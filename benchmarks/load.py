"""A load client: raw sockets on asyncio, connections that stay open, requests made beforehand, answers read to the end.

It knows enough of HTTP/1.1 and of event streams to tell where an answer ends, and enough of JSON-RPC to tell whether
it is the one that was asked for. Tests and benchmarks share it; every run is bounded in count and in time.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

MODERN: Final = "2026-07-28"
LEGACY: Final = "2025-11-25"

_ENVELOPE: Final = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "load", "version": "1"},
}
_RETRIES: Final = 3
"""How often in a row a connection may fail before it is given up."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is: `http://host:port/path`."""

    host: str
    port: int
    path: str = "/mcp"


@dataclass(frozen=True, slots=True)
class Load:
    """What to ask, how often, from how many connections at once, and for how long at most.

    Attributes:
        requests: Whole requests as bytes; a connection sends the next one of them by turns.
        expect: What the body of every right answer holds.
        connections: How many are open, each with one request on its way.
        count: Requests in all.
        limit: Seconds after which what is missing counts as the error "out of time".
    """

    requests: Sequence[bytes]
    expect: bytes
    connections: int
    count: int
    limit: float = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a load.

    Attributes:
        seconds: From the first request to the last answer.
        latencies: Seconds of each right answer, ascending.
        errors: By kind: "503 Retry-After", "401", "JSON-RPC -32602", "wrong answer", "connection lost",
            "not sent" (no connection was to be had), "out of time".
    """

    seconds: float
    latencies: Sequence[float]
    errors: Mapping[str, int] = field(default_factory=dict)

    @property
    def right(self) -> int:
        """How many answers were as expected."""
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return self.right / self.seconds

    def percentile(self, share: float) -> float:
        """Seconds within which that share of the right answers came, such as 0.99."""
        return self.latencies[min(self.right - 1, int(self.right * share))]


def post(address: Address, body: bytes, headers: Mapping[str, str]) -> bytes:
    """One whole POST request."""
    fixed = {
        "host": f"{address.host}:{address.port}",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "content-length": str(len(body)),
    }
    lines = [f"{name}: {value}" for name, value in {**fixed, **headers}.items()]
    return "\r\n".join([f"POST {address.path} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body


def modern_call(
    address: Address,
    tool: str,
    arguments: Mapping[str, Any],
    *,
    progress: bool = False,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """A `tools/call` of 2026-07-28; with `progress`, one that wants to be told how far the tool is."""
    meta: dict[str, Any] = {**_ENVELOPE, **({"progressToken": "p"} if progress else {})}
    sent = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": tool}
    return post(address, _call(tool, {**arguments}, meta), {**sent, **(headers or {})})


def legacy_call(
    address: Address, tool: str, arguments: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
) -> bytes:
    """A `tools/call` of 2025-11-25 without a session."""
    return post(address, _call(tool, arguments, {}), {"mcp-protocol-version": LEGACY, **(headers or {})})


def _call(tool: str, arguments: Mapping[str, Any], meta: Mapping[str, Any]) -> bytes:
    params = {"name": tool, "arguments": arguments, **({"_meta": meta} if meta else {})}
    document = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return json.dumps(document, separators=(",", ":")).encode()


async def run(address: Address, load: Load) -> Outcome:
    """Put the load on a server that listens; returns when the last answer is there or the time is over."""
    turns = _Turns(load)
    started = time.perf_counter()
    workers = [asyncio.ensure_future(_connection(address, turns)) for _ in range(load.connections)]
    _, late = await asyncio.wait(workers, timeout=load.limit)
    seconds = time.perf_counter() - started
    for worker in late:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    missing = load.count - len(turns.latencies) - sum(turns.errors.values())
    if missing:
        turns.errors["out of time" if late else "not sent"] += missing
    return Outcome(seconds, sorted(turns.latencies), dict(turns.errors))


class _Turns:
    """What is left to send, and what came back."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._sent = 0
        self.latencies: list[float] = []
        self.errors: Counter[str] = Counter()

    def next(self) -> bytes | None:
        if self._sent >= self._load.count:
            return None
        request = self._load.requests[self._sent % len(self._load.requests)]
        self._sent += 1
        return request

    def answered(self, answer: Answer, seconds: float) -> None:
        kind = _fault(answer, self._load.expect)
        if kind is None:
            self.latencies.append(seconds)
        else:
            self.errors[kind] += 1


async def _connection(address: Address, turns: _Turns) -> None:
    loop = asyncio.get_running_loop()
    lost = 0
    while lost < _RETRIES:
        try:
            transport, line = await loop.create_connection(_Line, address.host, address.port)
        except OSError:
            lost += 1
            continue
        try:
            while (request := turns.next()) is not None:
                began = time.perf_counter()
                answer = await line.ask(request)
                if answer is None:
                    turns.errors["connection lost"] += 1
                    lost += 1
                    break
                lost = 0
                turns.answered(answer, time.perf_counter() - began)
                if answer.closes:
                    break
            else:
                return
        finally:
            transport.abort()


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. `head` is lower-case."""

    status: int
    head: bytes
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the server takes no further request on this connection."""
        return b"\r\nconnection: close" in self.head


def _fault(answer: Answer, expect: bytes) -> str | None:
    if answer.status != 200:
        return f"{answer.status} Retry-After" if b"\r\nretry-after:" in answer.head else str(answer.status)
    if expect in answer.body:
        return None
    _, _, code = answer.body.partition(b'"error":{"code":')
    return f"JSON-RPC {code.partition(b',')[0].decode(errors='replace')}" if code else "wrong answer"


class _Line(asyncio.Protocol):
    """One connection with one request on its way at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer | None] | None = None
        self._reader = Reader()

    def ask(self, request: bytes) -> asyncio.Future[Answer | None]:
        """Send a request; the answer, or None if the connection ends before it is whole."""
        self._waiting = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            self._waiting.set_result(None)
        else:
            self._transport.write(request)
        return self._waiting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # what a TCP connection is given

    def data_received(self, data: bytes) -> None:
        self._give(self._reader.feed(data))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _give(self, answer: Answer | None) -> None:
        if answer is not None and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)


class Reader:
    """Puts one answer after the other together from what a socket gives."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Answer | None:
        """The next whole answer, once its last byte is there."""
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        head = head.lower()
        body = _chunks(rest) if b"transfer-encoding: chunked" in head else _counted(rest, head)
        if body is None:
            return None
        content, self._buffer = body
        return Answer(int(head[9:12]), head, content)


def _counted(rest: bytes, head: bytes) -> tuple[bytes, bytes] | None:
    _, found, value = head.partition(b"\r\ncontent-length:")
    size = int(value.partition(b"\r\n")[0]) if found else 0
    return (rest[:size], rest[size:]) if len(rest) >= size else None


def _chunks(rest: bytes) -> tuple[bytes, bytes] | None:
    """The body and what follows it (RFC 9112, 7.1; without trailers, which no server here sends)."""
    parts: list[bytes] = []
    while True:
        line, found, rest = rest.partition(b"\r\n")
        if not found:
            return None
        size = int(line.partition(b";")[0], 16)
        if len(rest) < size + 2:
            return None
        if size == 0:
            return b"".join(parts), rest[2:]
        parts.append(rest[:size])
        rest = rest[size + 2 :]

"""The load client tells right answers from all others, however they arrive."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from benchmarks import load
from benchmarks.load import Address, Load, Outcome, Reader

COUNTED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"
REFUSED = b"HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
WRONG = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhow"
ERROR = b'HTTP/1.1 200 OK\r\ncontent-length: 38\r\n\r\n{"id":1,"error":{"code":-32602,"m":1}}'
CLOSING = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello"
CUT = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nhello"


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_answers_are_put_together_from_pieces(step: int) -> None:
    reader, found = Reader(), []
    for answer in (COUNTED, CHUNKED, REFUSED, COUNTED):
        pieces = [answer[place : place + step] for place in range(0, len(answer), step)]
        given = [reader.feed(piece) for piece in pieces]
        assert given[:-1] == [None] * (len(given) - 1)
        assert given[-1] is not None
        found.append((given[-1].status, given[-1].body))
    assert found == [(200, b"hello"), (200, b"hello"), (503, b""), (200, b"hello")]


def against(*answers: bytes, count: int, connections: int = 1, limit: float = 20.0) -> Outcome:
    """What the client says of a server that gives each connection these answers and closes it; without any: nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            for answer in answers:
                await reader.readuntil(b"\r\n\r\nbody")
                writer.write(answer)
                await writer.drain()
            if not answers:
                await reader.read()  # until the client gives up
        writer.close()

    async def both() -> Outcome:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
        outcome = await load.run(address, Load([load.post(address, b"body", {})], b"hello", connections, count, limit))
        server.close()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)
        return outcome

    return asyncio.run(both())


def test_right_answers_are_counted_with_their_times() -> None:
    outcome = against(COUNTED, CHUNKED, CLOSING, count=6)
    assert (outcome.right, outcome.errors) == (6, {})
    assert list(outcome.latencies) == sorted(outcome.latencies)
    assert 0 < outcome.percentile(0.5) <= outcome.percentile(0.99) <= outcome.seconds
    assert outcome.rate == pytest.approx(6 / outcome.seconds)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (REFUSED, "503 Retry-After"),
        (REFUSED.replace(b"retry-after", b"x-nothing"), "503"),
        (WRONG, "wrong answer"),
        (ERROR, "JSON-RPC -32602"),
        (CUT, "connection lost"),
        (b"", "connection lost"),
    ],
)
def test_every_other_answer_is_an_error_by_its_kind(answer: bytes, kind: str) -> None:
    outcome = against(COUNTED, answer, count=2)
    assert (outcome.right, outcome.errors) == (1, {kind: 1})


def test_nothing_is_waited_for_beyond_the_limit() -> None:
    outcome = against(count=5, connections=2, limit=0.05)
    assert (outcome.right, outcome.errors) == (0, {"out of time": 5})


def test_a_server_that_is_not_there_is_an_error_too() -> None:
    outcome = asyncio.run(load.run(Address("127.0.0.1", 1), Load([b""], b"", 2, 5)))
    assert (outcome.right, outcome.errors) == (0, {"not sent": 5})


@pytest.mark.parametrize("era", [load.modern_call, load.legacy_call])
def test_a_call_says_how_long_it_is(era: object) -> None:
    assert callable(era)
    head, _, body = era(Address("host", 1), "echo", {"text": "\u2713"}, headers={"x-more": "1"}).partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
    assert b"x-more: 1" in head
    assert json.loads(body)["params"]["name"] == "echo"

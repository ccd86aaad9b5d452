"""Many calls at once and many in a row: all are answered, over the limit as promised, and nothing piles up."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import load
from benchmarks.load import Address, Load, Outcome
from tests import sampling
from tests.serve.process import HttpServer, http_server, make_bundle, stdio_server

MANY = 50
LIMIT = 8
MIB = 1024
NOT_PLAIN = {"accept": "*/*"}
"""What makes a call the SDK's transport's to answer."""

SOURCE = f'''
import asyncio
from pathlib import Path

from mcp_tool import Context, tool

arrived = 0
all_here = asyncio.Event()


@tool
async def echo(text: str) -> str:
    """Give a text back."""
    return text


@tool
def echo_from_a_thread(text: str) -> str:
    """Give a text back."""
    return text


@tool
async def steps(text: str, ctx: Context) -> str:
    """Give a text back after a word on the way."""
    await ctx.progress(1, 2)
    return text


@tool
async def together(text: str) -> str:
    """Give a text back once {MANY} calls are here."""
    global arrived
    arrived += 1
    if arrived % {MANY} == 0:
        all_here.set()
    await all_here.wait()
    return text


@tool
async def hold(folder: Path, text: str) -> str:
    """Give a text back once the folder says so."""
    (folder / text).touch()
    while not (folder / "go").exists():
        await asyncio.sleep(0.005)
    return "released"
'''


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle", SOURCE)


@pytest.fixture
def limited(bundle: Path) -> Iterator[HttpServer]:
    with http_server(bundle, {"serve": {"concurrency": LIMIT}}) as server:
        yield server


def put(server: HttpServer, *requests: bytes, expect: str, connections: int, count: int) -> Outcome:
    return asyncio.run(load.run(at(server), Load(requests, expect.encode(), connections, count, limit=240.0)))


def at(server: HttpServer) -> Address:
    return Address("127.0.0.1", server.port)


@pytest.mark.parametrize("era", [load.modern_call, load.legacy_call])
@pytest.mark.parametrize("tool", ["together", "echo_from_a_thread"])
def test_fifty_at_once_over_http(bundle: Path, era: Any, tool: str) -> None:
    with http_server(bundle) as server:
        call = era(at(server), tool, {"text": "all of us"})
        outcome = put(server, call, expect="all of us", connections=MANY, count=MANY)
    assert (outcome.right, outcome.errors) == (MANY, {})


@pytest.mark.parametrize("tool", ["together", "echo_from_a_thread"])
def test_fifty_at_once_over_one_pipe(bundle: Path, tool: str) -> None:
    with stdio_server(bundle) as server:
        server.initialize()
        for number in range(MANY):
            server.call(tool, {"text": f"number {number}"}, identity=number)
        answers = [server.receive() for _ in range(MANY)]
    texts = {answer["id"]: answer["result"]["content"][0]["text"] for answer in answers}
    assert texts == {number: f"number {number}" for number in range(MANY)}


@pytest.mark.parametrize("era", [load.modern_call, load.legacy_call])
def test_over_the_limit_everything_is_refused_as_promised(limited: HttpServer, tmp_path: Path, era: Any) -> None:
    folder = tmp_path / "held"
    folder.mkdir()
    address = at(limited)
    held = [era(address, "hold", {"folder": str(folder), "text": str(number)}) for number in range(LIMIT)]
    quick = [era(address, "echo", {"text": "quick"})]

    async def crowd() -> tuple[Outcome, Outcome]:
        holding = asyncio.ensure_future(load.run(address, Load(held, b"released", LIMIT, LIMIT)))
        while len(list(folder.iterdir())) < LIMIT:
            assert not holding.done()
            await asyncio.sleep(0.01)
        refused = await load.run(address, Load(quick, b"quick", 3 * LIMIT, 300))
        (folder / "go").touch()
        return await holding, refused

    held_outcome, refused = asyncio.run(crowd())
    assert (refused.right, refused.errors) == (0, {"503 Retry-After": 300})
    assert (held_outcome.right, held_outcome.errors) == (LIMIT, {})
    afterwards = put(limited, *quick, expect="quick", connections=LIMIT, count=100)
    assert (afterwards.right, afterwards.errors) == (100, {})


def test_at_four_times_the_limit_nothing_but_refusals(limited: HttpServer) -> None:
    address, said = at(limited), {"text": "four times"}
    requests = [
        load.modern_call(address, "echo_from_a_thread", said),
        load.legacy_call(address, "echo_from_a_thread", said),
        load.modern_call(address, "steps", said, progress=True),
        load.legacy_call(address, "steps", said, headers=NOT_PLAIN),
    ]
    outcome = put(limited, *requests, expect="four times", connections=4 * LIMIT, count=3000)
    assert set(outcome.errors) <= {"503 Retry-After"}
    assert outcome.right + sum(outcome.errors.values()) == 3000
    assert outcome.right >= LIMIT


@pytest.mark.timeout(600)
def test_memory_does_not_grow_with_the_calls(bundle: Path, tmp_path: Path) -> None:
    warm, more = (10_000, 40_000) if sampling.whole() else (2_000, 4_000)
    key = tmp_path / "key"
    key.write_text("k" * 40)
    config = {
        "serve": {"auth": {"mode": "bearer", "keys": [{"file": str(key)}]}, "rate": {"calls": 10**6, "per": 1.0}},
        "metrics": {"host": "127.0.0.1", "port": 0},
        "log": {"audit": {"file": str(tmp_path / "audit.log")}},
    }
    with http_server(bundle, config) as server:
        shown, said = {"authorization": f"Bearer {'k' * 40}"}, {"text": "again"}
        requests = [
            load.modern_call(at(server), "echo", said, headers=shown),
            load.legacy_call(at(server), "echo", said, headers=shown),
            load.modern_call(at(server), "steps", said, progress=True, headers=shown),
            load.modern_call(at(server), "echo_from_a_thread", said, headers={**shown, "x-request-id": "mine"}),
            load.modern_call(at(server), "steps", said, progress=True, headers=shown | NOT_PLAIN),
            load.legacy_call(at(server), "echo", said, headers=shown | NOT_PLAIN),
        ]
        first = put(server, *requests, expect="again", connections=20, count=warm)
        before = resident(server)
        second = put(server, *requests, expect="again", connections=20, count=more)
        grown = resident(server) - before
    assert (first.right, first.errors) == (warm, {})
    assert (second.right, second.errors) == (more, {})
    assert grown <= 5 * MIB


def resident(server: HttpServer) -> int:
    """KiB of memory that the server holds."""
    told = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(server.process.pid)], capture_output=True, text=True, check=True
    )
    return int(told.stdout)

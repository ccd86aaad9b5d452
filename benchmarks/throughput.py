"""How many calls a second a server answers on one core, how long they take, and what they leave in memory."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from benchmarks import load
from benchmarks.load import Load, Outcome
from benchmarks.measure import Spread
from benchmarks.pinned import Running, apart, ours, peer, piped
from benchmarks.place import Place
from benchmarks.report import Figure
from benchmarks.tokens import Issuer

_CONNECTIONS: Final = 20
_AT_ONCE: Final = 50
_WINDOW: Final = 1000
"""Calls in one run of one side."""

_SAID: Final = "hello there"
_ARGUMENTS: Final = {"text": _SAID}

_Call = Callable[[Running], Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class _Bars:
    """The least share of the peer's calls a second, and the greatest of its 99th percentile; None is only stated."""

    rate: float | None = None
    p99: float | None = None


def _json(server: Running) -> Sequence[bytes]:
    return [load.modern_call(server.address, "echo", _ARGUMENTS, headers=server.headers)]


def _stream(server: Running) -> Sequence[bytes]:
    return [load.modern_call(server.address, "steps", _ARGUMENTS, progress=True, headers=server.headers)]


def _legacy(server: Running) -> Sequence[bytes]:
    return [load.legacy_call(server.address, "echo", _ARGUMENTS, headers=server.headers)]


def _by_the_sdk(server: Running) -> Sequence[bytes]:
    """What is not plain: the SDK's own transport answers it."""
    headers = {**server.headers, "accept": "*/*"}
    return [
        load.modern_call(server.address, "steps", _ARGUMENTS, progress=True, headers=headers),
        load.legacy_call(server.address, "echo", _ARGUMENTS, headers=headers),
    ]


_KINDS: Final[Mapping[str, tuple[_Call, Mapping[str, _Bars]]]] = MappingProxyType(
    {
        "2026-07-28, JSON": (
            _json,
            {"sdk": _Bars(1.0, 1.2), "sdk-json": _Bars(1.0, 1.2), "fastmcp": _Bars(), "starlette": _Bars()},
        ),
        "2026-07-28, SSE": (_stream, {"sdk": _Bars(1.0, 1.2), "fastmcp": _Bars(), "starlette": _Bars()}),
        "2025-11-25": (
            _legacy,
            {"sdk": _Bars(1.2, 0.6), "sdk-json": _Bars(1.2, 0.6), "fastmcp": _Bars(), "starlette": _Bars()},
        ),
    }
)
_NAMES: Final = MappingProxyType(
    {
        "sdk": "the SDK's app",
        "sdk-json": "the same, json_response",
        "fastmcp": "FastMCP 4",
        "starlette": "bare Starlette",
    }
)


def calls(place: Place, runs: int) -> Iterator[Figure]:
    """tools/call of an async echo, everything switched on, against each peer on the same core."""
    with ExitStack() as stack:
        stack.enter_context(apart())
        mine = stack.enter_context(ours(place))
        peers = {name: stack.enter_context(peer(place, name)) for name in _NAMES}
        for kind, (requests, bars) in _KINDS.items():
            for name, bar in bars.items():
                yield from _against(f"tools/call {kind}: ours / {_NAMES[name]}", requests, mine, peers[name], bar, runs)


def _against(name: str, requests: _Call, mine: Running, other: Running, bars: _Bars, runs: int) -> Iterator[Figure]:
    put(mine, requests(mine), _WINDOW)
    put(other, requests(other), _WINDOW)
    before = mine.cpu, other.cpu
    pairs = [(put(mine, requests(mine), _WINDOW), put(other, requests(other), _WINDOW)) for _ in range(runs)]
    cpu = [(after - then) / (runs * _WINDOW) * 1e6 for then, after in zip(before, (mine.cpu, other.cpu), strict=True)]
    rates = _median(a.rate for a, _ in pairs), _median(b.rate for _, b in pairs)
    note = f"{rates[0]:.0f}/s / {rates[1]:.0f}/s; CPU a call {cpu[0]:.0f} us / {cpu[1]:.0f} us"
    yield Figure(
        f"{name}, calls a second", "x", Spread.of([a.rate / b.rate for a, b in pairs]), bars.rate, note, least=True
    )
    late = [(a.percentile(0.99) * 1000, b.percentile(0.99) * 1000) for a, b in pairs]
    told = f"{_median(a for a, _ in late):.1f} ms / {_median(b for _, b in late):.1f} ms"
    yield Figure(f"{name}, 99th percentile", "x", Spread.of([a / b for a, b in late]), bars.p99, told)


def _median(values: Iterable[float]) -> float:
    return Spread.of(list(values)).median


def put(server: Running, requests: Sequence[bytes], count: int) -> Outcome:
    """One run whose answers must all be right.

    Raises:
        RuntimeError: An answer was wrong or missing.
    """
    outcome = run(server, requests, count, _CONNECTIONS)
    if outcome.errors:
        raise RuntimeError(f"of {count} calls {outcome.right} were answered: {dict(outcome.errors)}")
    return outcome


def run(server: Running, requests: Sequence[bytes], count: int, connections: int) -> Outcome:
    """One run, whatever comes of it."""
    asked = Load(requests, _SAID.encode(), connections, count, limit=300.0)
    gc.collect()
    gc.disable()  # a pause of the client would count as one of the server
    try:
        with asyncio.Runner(loop_factory=_loop) as runner:
            return runner.run(load.run(server.address, asked))
    finally:
        gc.enable()


def _loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


def tokens(place: Place, runs: int) -> Iterator[Figure]:
    """What a JWT costs a call: one that was seen before, and one that is new."""
    with ExitStack() as stack:
        stack.enter_context(apart())
        issuer = stack.enter_context(Issuer.serving())
        asked = {"auth": issuer.auth}
        guarded = stack.enter_context(ours(place, issuer.headers(), **asked))
        keyed = stack.enter_context(ours(place))
        known, plain = _json(guarded), _json(keyed)
        yield _cost("a JWT seen before (cached) - a bearer key", (guarded, lambda: known), (keyed, lambda: plain), runs)

        def new() -> Sequence[bytes]:
            shown = [issuer.headers() for _ in range(_WINDOW)]
            return [load.modern_call(guarded.address, "echo", _ARGUMENTS, headers=head) for head in shown]

        yield _cost(
            "a JWT never seen (RS256) - one seen before", (guarded, new), (guarded, lambda: known), max(3, runs // 3)
        )


_Side = tuple[Running, Callable[[], Sequence[bytes]]]


def _cost(name: str, dear: _Side, cheap: _Side, runs: int) -> Figure:
    """Microseconds of processor time that a call takes more, which neighbours on the machine disturb least."""
    for server, requests in (dear, cheap):
        put(server, requests(), _WINDOW)

    def cpu(side: _Side) -> float:
        server, requests = side
        prepared = requests()
        before = server.cpu
        put(server, prepared, _WINDOW)
        return (server.cpu - before) / _WINDOW * 1e6

    pairs = [(cpu(dear), cpu(cheap)) for _ in range(runs)]
    note = f"{_median(a for a, _ in pairs):.0f} us / {_median(b for _, b in pairs):.0f} us of CPU a call"
    return Figure(name, " us", Spread.of([a - b for a, b in pairs]), None, note)


def memory(place: Place, runs: int) -> Iterator[Figure]:  # noqa: ARG001 - one run is 50,000 calls
    """Resident memory after 50,000 calls of every kind above that after 10,000."""
    with apart(), ours(place) as server:
        requests = [*_json(server), *_stream(server), *_legacy(server), *_by_the_sdk(server)]
        put(server, requests, 10_000)
        before = server.resident
        put(server, requests, 40_000)
        after = server.resident
    note = f"{after:.1f} MiB - {before:.1f} MiB"
    yield Figure("memory after 50,000 calls - after 10,000", " MiB", Spread.of([after - before]), 5, note)


def at_once(place: Place, runs: int) -> Iterator[Figure]:
    """How many of 50 calls that are on their way at the same time are answered: over HTTP, and over one pipe."""
    with apart(), ours(place) as server:
        over_http = [run(server, _json(server), _AT_ONCE, _AT_ONCE).right for _ in range(runs)]
    yield _answered("over HTTP", over_http)
    yield _answered("over one stdio pipe", [piped(place, "echo", _ARGUMENTS, _AT_ONCE) for _ in range(runs)])


def _answered(name: str, counts: Sequence[int]) -> Figure:
    return Figure(f"{_AT_ONCE} calls at once {name}, answered", "", Spread.of(counts), _AT_ONCE, least=True)


ROWS: Final[Mapping[str, Callable[[Place, int], Iterator[Figure]]]] = MappingProxyType(
    {"calls": calls, "tokens": tokens, "memory": memory, "at-once": at_once}
)

"""A proxy before a registry that puts the way of a far network between: every request comes some time later.

It passes bytes on as they are, and notes when each request began and when its answer had passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_CHUNK = 256 * 1024


@dataclass(slots=True)
class Exchange:
    """One request with its answer: the request line, and the seconds of its first and of its answer's last byte."""

    line: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Delaying:
    """A proxy that runs. ``address`` is ``host:port``; ``log`` grows as requests come."""

    address: str
    log: list[Exchange]


def in_a_row(exchanges: Sequence[Exchange]) -> int:
    """The greatest number of exchanges of which each began when the one before it had ended."""
    longest: list[tuple[float, int]] = []
    for one in sorted(exchanges, key=lambda one: one.began):
        before = max((count for ended, count in longest if ended <= one.began), default=0)
        longest.append((one.ended, before + 1))
    return max((count for _, count in longest), default=0)


@contextlib.contextmanager
def delaying(target: str, seconds: float) -> Iterator[Delaying]:
    """A proxy before ``target`` (``host:port``) that passes every piece of a request on ``seconds`` after it came."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    log: list[Exchange] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = target.partition(":")
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        state = _Connection(log)
        try:
            await asyncio.gather(_later(reader, there_writer, state, seconds), _at_once(there_reader, writer, state))
        except ConnectionError:
            pass  # one side has gone, and so does the other
        finally:
            for side in (writer, there_writer):
                side.close()
                with contextlib.suppress(ConnectionError):
                    await side.wait_closed()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(pass_on, "127.0.0.1", 0, limit=_CHUNK)

    async def stop() -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await server.wait_closed()

    server = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield Delaying(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", log)
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Connection:
    """What goes over one connection: requests and answers by turns, as HTTP/1.1 without pipelining has it."""

    def __init__(self, log: list[Exchange]) -> None:
        self._log = log
        self._answered = True
        self._current: Exchange | None = None

    def asked(self, data: bytes) -> None:
        now = time.perf_counter()
        if self._answered:
            self._current = Exchange(data.split(b"\r\n", 1)[0].decode(errors="replace"), now, now)
            self._log.append(self._current)
            self._answered = False

    def answered(self) -> None:
        if self._current is not None:
            self._current.ended = time.perf_counter()
            self._answered = True


async def _later(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: _Connection, seconds: float
) -> None:
    """Pass on what comes, each piece when its time has come, so that a long body is not slowed down piece by piece."""
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    clock = asyncio.get_running_loop().time

    async def deliver() -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(due - clock())
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    delivering = asyncio.ensure_future(deliver())
    while data := await reader.read(_CHUNK):
        state.asked(data)
        waiting.put_nowait((clock() + seconds, data))
    waiting.put_nowait((clock() + seconds, b""))
    await delivering


async def _at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: _Connection) -> None:
    while data := await reader.read(_CHUNK):
        state.answered()
        writer.write(data)
        await writer.drain()
    writer.close()

"""MCP over standard input and output, both protocol eras; nothing the author prints reaches the wire.

Descriptors 0 and 1 are taken away before the author's code is imported: from then on `print` goes to standard
error, reading standard input gives the end of file, and the same holds for programs the author starts.

How it ends: the end of input (or SIGTERM) lets calls in flight finish for a moment, then the server stops. A call
that cannot be stopped, because it blocks a thread or the event loop, is cut off after `CUT_OFF` seconds. The guard
(`guard.py`) stands behind all of it.
"""

import asyncio
import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
from anyio import AsyncFile, CapacityLimiter, to_thread

from mcp_tool.record import ON_STDIO, Record
from mcp_tool.serve import private

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

QUIET = 1.0
"""Seconds that calls in flight get to be answered after the end of input."""

CUT_OFF = 2.5
"""Seconds from the end of input to the end of the process, whatever still runs."""


_LONGEST: Final = 128
"""Characters of what the client says that are kept for the log."""


@dataclass(frozen=True)
class Pipes:
    """The client's two pipes, on descriptors that only the transport knows."""

    read: int
    write: int


def take_pipes() -> Pipes:
    """Move the client's pipes off descriptors 0 and 1; 0 then reads empty, 1 then writes to standard error."""
    read, write = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return Pipes(read, write)


def cut_off_after(seconds: float, code: int = 0) -> None:
    """End the process in that many seconds unless it has ended by itself; safe to call more than once."""
    timer = threading.Timer(seconds, _cut_off, args=(code,))
    timer.daemon = True
    timer.start()


AT_CUT_OFF: Final[list[Callable[[], object]]] = []
"""What is done right before the process is cut off; each does not take long."""


def _cut_off(code: int) -> None:
    for work in AT_CUT_OFF:
        work()
    private.remove()
    os._exit(code)


@dataclass
class Wire:
    """The two ends of the client's pipes, in the shape `mcp.server.stdio.stdio_server` reads and writes.

    It keeps what was asked and is not answered, so that the end of input does not swallow the answers to what came
    right before it; and it notes each request, as the HTTP shell does, from its line to that of its answer.

    Attributes:
        pipes: The client's.
        seen: Told of every request at its end.
    """

    pipes: Pipes
    seen: Callable[[Record], None]
    _lines: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    _client: str = ""
    _protocol: str = ""
    _answered: asyncio.Event = field(default_factory=asyncio.Event)
    _writer: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))

    def start(self) -> None:
        """Begin to read, in a thread of its own; call it on the event loop."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name="stdin", daemon=True).start()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        def hand_over(line: str | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._lines.put_nowait, line)

        with os.fdopen(self.pipes.read, "rb", closefd=False) as source, contextlib.suppress(OSError):
            for line in source:
                hand_over(line.decode("utf-8", errors="replace"))
        cut_off_after(CUT_OFF)
        hand_over(None)

    def close(self) -> None:
        """Take what was read so far as all there is."""
        self._lines.put_nowait(None)

    def __aiter__(self) -> "Wire":
        return self

    async def __anext__(self) -> str:
        while (line := await self._lines.get()) is not None:
            if line.strip():
                self._note(line, asked=True)
                return line
        with anyio.move_on_after(QUIET):
            while ON_STDIO:
                self._answered.clear()
                await self._answered.wait()
        raise StopAsyncIteration

    def _note(self, line: str, *, asked: bool) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            return
        match message:
            case {"method": "notifications/cancelled", "params": {"requestId": str() | int() as identity}}:
                self._over(identity, "gone")
            case {"method": "subscriptions/listen"}:
                pass  # stays open for as long as the client does
            case {"method": str() as method, "id": str() | int() as identity} if asked:
                self._begin(method, identity, message.get("params"))
            case {"id": str() | int() as identity, "error": {"code": int() as code}} if not asked:
                self._over(identity, "failed", str(code))
            case {"id": str() | int() as identity, "result": dict() as result} if not asked:
                self._protocol = self._greeted(identity, result) or self._protocol
                self._over(identity, "")
        self._answered.set()

    def _begin(self, method: str, identity: str | int, params: object) -> None:
        if method == "initialize" and isinstance(params, dict):
            from mcp_tool.serve.http.noting import named

            self._client = named(params.get("clientInfo"))
        ON_STDIO[identity] = Record(
            transport="stdio",
            request_id=f"{os.getpid()}:{str(identity)[:_LONGEST]}",
            method=method[:_LONGEST],
            protocol=self._protocol,
            client=self._client,
        )

    def _greeted(self, identity: str | int, result: dict[str, Any]) -> str:
        """The protocol version that both agreed on, if that is what was answered."""
        record = ON_STDIO.get(identity)
        version = result.get("protocolVersion")
        if record is None or record.method != "initialize" or not isinstance(version, str):
            return ""
        record.protocol = version
        return version

    def _over(self, identity: str | int, outcome: str, error_type: str = "") -> None:
        record = ON_STDIO.pop(identity, None)
        if record is not None:
            record.outcome = record.outcome or outcome
            record.error_type = record.error_type or error_type
            self.seen(record)

    def abandon(self) -> None:
        """The end came before the answers: every call that is not over has its line in the log all the same."""
        for identity in list(ON_STDIO):
            self._over(identity, "gone")

    async def write(self, text: str) -> None:
        """Write whole lines; a client that is gone is no error."""
        try:
            with contextlib.suppress(OSError):
                await to_thread.run_sync(self._write_all, text.encode(), limiter=self._writer)
        finally:
            # Also where the end came meanwhile: what was answered has its line in the log.
            self._note(text, asked=False)

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.pipes.write, view) :]

    async def flush(self) -> None:
        """Nothing is held back."""


async def serve(server: "Server[Any]", pipes: Pipes, ready: Callable[[], None], seen: Callable[[Record], None]) -> None:
    """Serve one client until it closes the pipe, or SIGTERM or SIGINT comes."""
    from mcp.server.stdio import stdio_server

    wire = Wire(pipes, seen)
    AT_CUT_OFF.insert(0, wire.abandon)
    loop = asyncio.get_running_loop()

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a signal handler
        cut_off_after(CUT_OFF)
        loop.call_soon_threadsafe(wire.close)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    wire.start()
    file = cast("AsyncFile[str]", wire)
    async with stdio_server(stdin=file, stdout=file) as (read, write):
        ready()
        await server.run(read, write, server.create_initialization_options())
    wire.abandon()

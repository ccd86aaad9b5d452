"""A front that holds a port while what stands behind it changes: `python -m mcp_tool.front`.

It passes bytes both ways. Connections that are open stay with the server they were opened to, which tells its clients
to connect anew when it is about to go; new ones go where `switch` last said. Not every server tells them: so a request
to one that clients were moved away from is marked as the last of its connection (`Connection: close`, RFC 9112, section
9.6), which is all that the front knows of HTTP. While nobody listens there (a server that starts again, say) a
connection waits instead of being refused. Standard library only: it runs from any image of any tool, also one that is
older than the tool behind it.

    serve --listen HOST:PORT --state DIR    hold the port; where to is kept in DIR, so that it outlives a restart
    switch --state DIR HOST:PORT            send new connections there from now on
    show --state DIR                        print where they go as {"upstream": …, "open": {"HOST:PORT": number}}
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

VERSION = 1
"""Of what is said over the control socket; whoever finds another one running replaces the front."""

_PATIENCE = 10.0
"""Seconds for which a connection waits for somebody to listen behind the front."""

_PAUSE = 0.05
_DRAIN = 10.0
"""Seconds that open connections get when the front itself is to end."""

_REQUEST = re.compile(rb"[A-Z]{1,20} \S{1,8000} HTTP/1\.1\r\n")
"""The line that begins a request."""

_CONTROL = "control.sock"
_KEPT = "upstream"
_WAIT = 10.0


@dataclass
class Front:
    """Where connections go, and how many are open to where.

    `upstream` is `HOST:PORT`; empty where nothing was said yet.
    """

    state: Path
    upstream: str = ""
    open: Counter[str] = field(default_factory=Counter)

    def load(self) -> None:
        """Take up what was said before a restart."""
        with contextlib.suppress(OSError):
            self.upstream = (self.state / _KEPT).read_text().strip()

    def switch(self, upstream: str) -> None:
        """Send new connections there; kept before it counts."""
        _split(upstream)
        scratch = self.state / f".{_KEPT}"
        scratch.write_text(upstream)
        scratch.replace(self.state / _KEPT)
        self.upstream = upstream

    async def idle(self) -> None:
        """Return when no connection is open."""
        while self.open.total() > 0:  # noqa: ASYNC110 - at the end of a process; an event would cost every connection
            await asyncio.sleep(_PAUSE)

    async def connect(self, near: "_Near") -> None:
        """Find the far side of a client's connection; close it when nobody is there in time."""
        deadline = time.monotonic() + _PATIENCE
        loop = asyncio.get_running_loop()
        while not near.gone and time.monotonic() < deadline:
            upstream = self.upstream
            if upstream:
                with contextlib.suppress(OSError):
                    host, port = _split(upstream)
                    await loop.create_connection(partial(_Far, near, self, upstream), host, port)
                    return
            await asyncio.sleep(_PAUSE)
        near.drop()


class _Side(asyncio.Protocol):
    """One end of a connection: what it gets goes to the other one, and it waits while that one is full."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream's transport is one
        self.transport = transport
        with contextlib.suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        if self.other is not None and self.other.transport is not None and self.other.transport.can_write_eof():
            with contextlib.suppress(OSError, RuntimeError):
                self.other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None:
            self.other.drop(hard=error is not None)

    def drop(self, *, hard: bool = False) -> None:
        """Close this end: what is still to be written first, unless the other one broke."""
        if self.transport is not None:
            (self.transport.abort if hard else self.transport.close)()


class _Near(_Side):
    """The client's end. Nothing is read from it before the far end is there."""

    def __init__(self, front: Front) -> None:
        super().__init__()
        self._front = front
        self.gone = False
        self.is_asking = False
        self._early: list[bytes] = []
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None  # noqa: S101 - just made
        self.transport.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._front.connect(self))

    def data_received(self, data: bytes) -> None:
        # Some versions of Python 3.11 read on for a moment although it was told to pause.
        if self.other is None:
            self._early.append(data)
        else:
            self._pass(data)

    def join(self, far: "_Far") -> None:
        """The far end is there: hand over what came early, and read on."""
        self.other = far
        if self.transport is None or self.transport.is_closing():
            far.drop()
            return
        for data in self._early:
            self._pass(data)
        self._early.clear()
        self.transport.resume_reading()

    def _pass(self, data: bytes) -> None:
        """To the server; the last request of the connection, if clients were moved away from that one."""
        is_new, self.is_asking = not self.is_asking, True
        if is_new and isinstance(self.other, _Far) and self.other.is_left:
            line = _REQUEST.match(data)
            data = data if line is None else line[0] + b"Connection: close\r\n" + data[line.end() :]
        super().data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.gone = True
        super().connection_lost(error)


class _Far(_Side):
    """The server's end."""

    def __init__(self, near: _Near, front: Front, upstream: str) -> None:
        super().__init__()
        self.other = self._near = near
        self._front = front
        self._upstream = upstream

    @property
    def is_left(self) -> bool:
        """Whether new connections go elsewhere by now."""
        return self._upstream != self._front.upstream

    def data_received(self, data: bytes) -> None:
        self._near.is_asking = False
        super().data_received(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._front.open[self._upstream] += 1
        self._near.join(self)

    def eof_received(self) -> bool:
        # A server that says no more has closed; its client shall know at once, and not when it sends again.
        if self.other is not None:
            self.other.drop()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._front.open[self._upstream] -= 1
        super().connection_lost(error)


async def _answer(front: Front, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One order over the control socket, a JSON document a line."""
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        answer: dict[str, Any]
        try:
            order = json.loads(await asyncio.wait_for(reader.readline(), _WAIT))
            if order.get("switch"):
                front.switch(str(order["switch"]))
            answer = {"version": VERSION, "upstream": front.upstream, "open": dict(+front.open)}
        except (ValueError, OSError, AttributeError) as error:
            answer = {"version": VERSION, "error": str(error)}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
    writer.close()


async def serve(listen: str, state: Path) -> None:
    """Hold the port until SIGTERM; then open connections get a while to end."""
    front = Front(state)
    front.load()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    control = state / _CONTROL
    control.unlink(missing_ok=True)
    orders = await asyncio.start_unix_server(lambda reader, writer: _answer(front, reader, writer), control)
    control.chmod(0o600)
    host, port = _split(listen)
    server = await loop.create_server(lambda: _Near(front), host, port, backlog=1024)
    await stop.wait()
    server.close()
    orders.close()
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(front.idle(), _DRAIN)


def ask(state: Path, order: dict[str, Any]) -> dict[str, Any]:
    """Give an order to the front that runs.

    Raises:
        OSError: None runs.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(_WAIT)
        line.connect(str(state / _CONTROL))
        line.sendall(json.dumps(order).encode() + b"\n")
        with line.makefile("rb") as reader:
            answer: dict[str, Any] = json.loads(reader.readline())
    return answer


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        msg = f"not HOST:PORT: {address!r}"
        raise ValueError(msg)
    return host.strip("[]"), int(port)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 1 where no front runs or it refuses."""
    parser = argparse.ArgumentParser(prog="python -m mcp_tool.front", description="Hold a port for a tool.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    state = argparse.ArgumentParser(add_help=False)
    state.add_argument("--state", type=Path, default=Path(os.environ.get("MCP_TOOL_FRONT", "/run/front")))
    serving = commands.add_parser("serve", parents=[state], help="hold the port")
    serving.add_argument("--listen", default="0.0.0.0:8000")
    switching = commands.add_parser("switch", parents=[state], help="send new connections elsewhere")
    switching.add_argument("upstream")
    commands.add_parser("show", parents=[state], help="print where connections go")
    options = parser.parse_args(argv)
    if options.command == "serve":
        asyncio.run(serve(options.listen, options.state))
        return 0
    try:
        answer = ask(options.state, {"switch": options.upstream} if options.command == "switch" else {})
    except (OSError, ValueError) as error:
        print(json.dumps({"error": f"no front runs here: {error}"}))  # noqa: T201 - the answer of a command
        return 1
    print(json.dumps(answer))  # noqa: T201 - as above
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main())

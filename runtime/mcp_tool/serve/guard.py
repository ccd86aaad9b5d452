"""A guard beside a stdio server: when the client is gone, server and children are gone too.

The server itself cannot promise that. A tool may block its event loop, hold the interpreter's lock in native code,
or leave programs running; and a server killed outright runs no code at all. So a small second process, forked
before anything heavy is imported, watches three things: the client's end of the pipe, the process that started the
server, and the server. It never reads the pipe and never writes anything.
"""

import contextlib
import os
import secrets
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from mcp_tool.serve import private
from mcp_tool.serve.private import MARK

GRACE = 3.5
"""Seconds the server gets to end by itself once its client is gone."""

START = 20.0
"""Seconds a server that still starts gets first, where its client has closed its end and waits for the answers."""

SOFT = 0.3
"""Seconds that what is left of its children gets between SIGTERM and SIGKILL."""

_TICK_MS = 500
_ready_end: int | None = None
_HALF_CLOSED = getattr(select, "POLLRDHUP", 0)  # absent on macOS, where POLLHUP alone has to do


def start() -> None:
    """Fork the guard. A no-op where there is no fork; call it while the process has one thread."""
    if not hasattr(os, "fork"):
        return
    if not os.isatty(0) and os.getpgrp() != os.getpid():
        # Own group: what the server starts can be ended together. Not on a terminal, which would
        # stop a background group that reads from it.
        os.setpgid(0, 0)
    os.environ[MARK] = secrets.token_hex(16)
    server, client = os.getpid(), os.getppid()
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(write)
        _guard(server, client, read)
    os.close(read)
    global _ready_end  # noqa: PLW0603 - one guard a process, told of one thing
    _ready_end = write


def ready() -> None:
    """Tell the guard that the server answers from now on."""
    global _ready_end  # noqa: PLW0603 - see above
    if _ready_end is not None:
        with contextlib.suppress(OSError):
            os.write(_ready_end, b"1")
        os.close(_ready_end)
        _ready_end = None


def _guard(server: int, client: int, started: int) -> NoReturn:
    """The guard's life; never returns into the server's code."""
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        # Holding the server's output open would keep its client waiting for the end of it.
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
        _watch(server, client, started)
        _end(server)
        private.remove_marked()
    finally:
        os._exit(0)


def _watch(server: int, client: int, started: int) -> None:
    """Return when the server is gone, or its client is gone and the server had its time to follow.

    `started` becomes readable when the server answers. A client that closes its end before that and stays waits for
    answers: a server that starts on a slow machine gets the time for it.
    """
    poll = select.poll()
    poll.register(0, _HALF_CLOSED)
    server_end, client_end = _process_end(server), _process_end(client) if client > 1 else None
    for descriptor in (server_end, client_end):
        if descriptor is not None:
            poll.register(descriptor, select.POLLIN)
    while os.getppid() == server:
        seen = {descriptor for descriptor, _ in poll.poll(None if server_end is not None else _TICK_MS)}
        if server_end in seen:
            return
        if client_end is not None and client_end in seen:
            os.kill(server, signal.SIGTERM)
        gone = client_end is not None and client_end in seen
        if 0 in seen and not gone:
            ends = [started, *(end for end in (server_end, client_end) if end is not None)]
            select.select(ends, [], [], START if client_end is not None else 0)
        if 0 in seen or gone:
            _await_end(server, server_end, GRACE)
            return


def _process_end(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends, where the system has such a thing."""
    try:
        return os.pidfd_open(pid) if sys.platform == "linux" else None
    except OSError:
        return None


def _await_end(server: int, server_end: int | None, seconds: float) -> None:
    if server_end is not None:
        select.select([server_end], [], [], seconds)
        return
    deadline = time.monotonic() + seconds
    while os.getppid() == server and time.monotonic() < deadline:
        time.sleep(0.05)


def _end(server: int) -> None:
    """End the server and everything it started: politely, then not."""
    for number, pause in ((signal.SIGTERM, SOFT), (signal.SIGKILL, 0.0)):
        left = {*_marked(), server} if os.getppid() == server else {*_marked()}
        reached = [_signal(os.kill, pid, number) for pid in left]
        # There is a group of this number only if the server led it.
        reached.append(_signal(os.killpg, server, number))
        if not any(reached):
            return
        time.sleep(pause)


def _signal(send: Callable[[int, int], None], target: int, number: int) -> bool:
    try:
        send(target, number)
    except OSError:
        return False
    return True


def _marked() -> list[int]:
    """Programs that carry the server's mark, wherever they moved to (Linux only)."""
    mark = f"{MARK}={os.environ[MARK]}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in entry.read_bytes().split(b"\0"):
                found.append(int(entry.parent.name))
    return found

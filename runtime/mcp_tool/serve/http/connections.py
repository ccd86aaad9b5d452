"""Ends connections that hold a place and do nothing with it; uvicorn has no time limit for any of this.

One that sends no whole head, one that goes on sending after it was answered, one that reads no answer. Looked at once
a second, so that a request costs nothing more.
"""

import asyncio
import contextlib
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable, Collection
from typing import Any, Final, Protocol

HEAD: Final = 20.0
"""Seconds from a connection's begin, or from its first byte after an answer, to the end of a request's head."""

STUCK: Final = 60.0
"""Seconds in which a client that has an answer to read must read some of it."""

_ATTACH_FILTER: Final = 26
"""SO_ATTACH_FILTER of Linux' asm-generic/socket.h, which Python's `socket` does not name."""

_SPARE: Final = 64
"""Descriptors that are kept for the author's files and connections."""


class Connection(Protocol):
    """One of uvicorn's protocols, with httptools as with h11. `cycle` is its request, None before the first."""

    transport: asyncio.Transport
    flow: Any
    cycle: Any
    timeout_keep_alive_task: asyncio.TimerHandle | None


class Sweep:
    """Looks at all connections.

    Args:
        connections: Uvicorn's, which come and go.
        most: Connections to keep where there are more; those that wait for a request go first.
    """

    def __init__(
        self,
        connections: Collection[Any],
        most: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connections = connections
        self._most = _descriptors() if most is None else most
        self._clock = clock
        self._since: dict[Connection, tuple[object, float]] = {}

    def __call__(self) -> None:
        """End what does nothing for too long, and what there is too much of."""
        now = self._clock()
        since: dict[Connection, tuple[object, float]] = {}
        for connection in list(self._connections):
            mark = _mark(connection)
            if mark is None:
                continue
            known, began = self._since.get(connection, (mark, now))
            began = began if known == mark else now
            since[connection] = (mark, began)
            if mark[0] == "writes" and now - began > STUCK:
                connection.transport.abort()
            elif mark[0] == "reads" and now - began > HEAD:
                connection.transport.close()
        self._since = since
        self._thin_out()

    def _thin_out(self) -> None:
        over = len(self._connections) - self._most
        if over <= 0:
            return
        for connection in list(self._connections):
            if over > 0 and is_idle(connection):
                connection.transport.close()
                over -= 1


def is_idle(connection: Any) -> bool:
    """Whether it has been answered and waits for its next request, of which nothing has come."""
    return (
        connection.cycle is not None
        and connection.cycle.response_complete
        and connection.timeout_keep_alive_task is not None
    )


def let_nobody_in(listening: socket.socket) -> None:
    """Have the kernel drop what asks a listening socket for a connection; who is in its queue stays there.

    Closing the socket resets its queue, and between the last look into the queue and the close somebody may enter. A
    dropped client tries again after a second, and is refused then. Linux only (socket(7), SO_ATTACH_FILTER); elsewhere
    nothing is done.
    """
    if sys.platform != "linux":
        return
    import ctypes

    drop = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF_RET | BPF_K, 0 bytes: none gets in
    with contextlib.suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(drop)))


def _mark(connection: Connection) -> tuple[str, object] | None:
    """What must change for a connection to be alive; None where there is nothing to wait for."""
    if connection.flow is not None and connection.flow.write_paused:
        return "writes", connection.transport.get_write_buffer_size()
    if connection.cycle is None or connection.cycle.response_complete:
        # Between two requests uvicorn has a timer running, until the first byte of the next one.
        return None if connection.timeout_keep_alive_task is not None else ("reads", id(connection.cycle))
    return None


def _descriptors() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(_SPARE, soft - _SPARE) if soft != resource.RLIM_INFINITY else 1_000_000

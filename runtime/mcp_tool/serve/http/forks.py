"""Keeps processes that the author's code forks from holding the server's connections, and from becoming a server.

A child inherits every open socket: a client whose connection was closed would see no end of it while the child lives,
and a child forked on the event loop would go on to serve. Standard library programs are not touched by this: what is
started with `subprocess` inherits no socket.
"""

import asyncio
import os
import socket
import threading
from collections.abc import Collection, Sequence
from pathlib import Path


def keep_out(sockets: Sequence[socket.socket]) -> None:
    """From now on; call it on the event loop that serves these listening sockets."""
    if not hasattr(os, "register_at_fork"):
        return
    ports = frozenset(listening.getsockname()[1] for listening in sockets)
    loop, thread = asyncio.get_running_loop(), threading.get_ident()

    def in_child() -> None:
        _let_go(ports)
        if threading.get_ident() == thread:
            # Only if it ever comes back to the loop: what multiprocessing forks does not.
            loop.call_soon(os._exit, 0)

    os.register_at_fork(after_in_child=in_child)


def _let_go(ports: Collection[int]) -> None:
    """Put something harmless in the place of every socket on one of the ports; the numbers stay taken."""
    null = os.open(os.devnull, os.O_RDWR)
    for entry in list(Path("/dev/fd").iterdir()):
        number = int(entry.name)
        try:
            known = socket.socket(fileno=number)
        except OSError:
            continue  # no socket
        try:
            if known.family in {socket.AF_INET, socket.AF_INET6} and known.getsockname()[1] in ports:
                os.dup2(null, number)
        except OSError:
            continue
        finally:
            known.detach()
    os.close(null)

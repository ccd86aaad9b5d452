"""Look up the names that the tests made up, in every Python whose ``PYTHONPATH`` has this folder: what DNS would do.

``MCP_PACK_TEST_HOSTS`` names files in the form of ``/etc/hosts``. They are read at each look-up, whole, as whoever
changes them puts a new file in place of the old. (A library before libc that remembers such a file forgets it under
the other threads of a process when it changes.)
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

_lookup = socket.getaddrinfo


def _address(name: str) -> str:
    for file in os.environ.get("MCP_PACK_TEST_HOSTS", "").split(os.pathsep):
        for line in Path(file).read_text(encoding="utf-8").splitlines() if file else ():
            address, each = line.split()
            if each == name:
                return address
    return name


def _getaddrinfo(host: str | bytes | None, *rest: object, **named: object) -> object:
    known = _address(host.decode() if isinstance(host, bytes) else host) if host else host
    return _lookup(known, *rest, **named)  # type: ignore[arg-type]  # passed on as they came


socket.getaddrinfo = _getaddrinfo  # type: ignore[assignment]  # the same arguments, the same answer

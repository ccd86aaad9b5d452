"""Runs a command in a network namespace that has loopback and nothing else: raises ``lo``, then becomes the command.

``unshare --net python tests/loopback.py COMMAND…``. Linux only; needs the rights that made the namespace.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys

# From linux/sockios.h and linux/if.h.
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


def raise_loopback() -> None:
    """Set the interface ``lo`` up.

    Raises:
        OSError: the process lacks the right to, or there is no such interface.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        answer = fcntl.ioctl(control, _SIOCGIFFLAGS, request)
        flags = struct.unpack("16sH14x", answer)[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


if __name__ == "__main__":
    raise_loopback()
    os.execvp(sys.argv[1], sys.argv[1:])

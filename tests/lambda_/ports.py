"""Free ports for programs that must be told theirs."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def two() -> Iterator[tuple[int, int]]:
    """Two ports that were free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        found = one.getsockname()[1], other.getsockname()[1]
    yield found

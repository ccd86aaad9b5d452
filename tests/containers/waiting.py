"""Waiting for what will happen, and not for longer than that."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_for(happens: Callable[[], bool], seconds: float = 30.0) -> None:
    """Return as soon as it happened.

    Raises:
        AssertionError: it did not happen in time.
    """
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)

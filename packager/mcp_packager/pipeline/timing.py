"""Seconds by stage, measured on the way to whoever shows progress."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from mcp_packager.progress import Progress


class Timed:
    """A :class:`Progress` that passes everything on and adds up wall time by stage; nested stages count twice."""

    def __init__(self, inner: Progress) -> None:
        self._inner = inner
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the work inside."""
        started = time.perf_counter()
        try:
            with self._inner.stage(name):
                yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    def note(self, text: str) -> None:
        """Pass it on."""
        self._inner.note(text)

"""Progress on a terminal: nothing for the first second, then one line that says what is being done.

rich is imported only when that line is drawn.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mcp_packager.cli import output

if TYPE_CHECKING:
    from rich.status import Status

PATIENCE = 1.0
"""Seconds of work before anything is drawn."""


class Shown:
    """A :class:`mcp_packager.progress.Progress` for people. Use it as a context manager around the work."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._draws = not quiet and output.is_terminal(sys.stderr)
        self._lock = threading.RLock()
        self._stages: list[str] = []
        self._status: Status | None = None
        self._timer: threading.Timer | None = None
        self._late = False

    def __enter__(self) -> Self:
        self._start_waiting()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Show ``name`` while the work inside runs; several may run side by side.

        Between stages nothing is drawn: what runs there, such as pytest, may use the terminal itself.
        """
        with self._lock:
            self._stages.append(name)
            self._refresh()
        try:
            yield
        finally:
            with self._lock:
                self._stages.remove(name)
                self._refresh()

    def note(self, text: str) -> None:
        """Say one thing a person should see, above the line."""
        if self._quiet:
            return
        with self._lock:
            if self._status is None:
                output.say(text)
            else:
                self._status.console.print(text, markup=False, highlight=False)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the line away while something else uses the terminal."""
        active = self._timer is not None
        self._stop()
        try:
            yield
        finally:
            if active:
                self._start_waiting()

    def _start_waiting(self) -> None:
        if not self._draws:
            return
        with self._lock:
            self._late = False
            self._timer = threading.Timer(PATIENCE, self._patience_ended)
            self._timer.daemon = True
            self._timer.start()

    def _patience_ended(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._late = True
                self._refresh()

    def _refresh(self) -> None:
        if not self._late:
            return
        if not self._stages:
            self._clear()
            return
        from rich.console import Console
        from rich.status import Status
        from rich.text import Text

        text = Text(", ".join(dict.fromkeys(self._stages)))
        if self._status is None:
            self._status = Status(text, console=Console(stderr=True))
            self._status.start()
        else:
            self._status.update(text)

    def _clear(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _stop(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._late = False
            self._clear()

"""Notices that a tool blocks the event loop, on which every other call waits, and says which tool and where.

A daemon thread asks the loop for a sign of life again and again. While native code holds the interpreter's own lock
the thread cannot look either: then only the length of the block is known, when it is over.
"""

import asyncio
import contextlib
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

from mcp_tool import loading
from mcp_tool.record import Record

logger = logging.getLogger("mcp_tool.serve")

LIMIT: Final = 1.0
"""Seconds without a sign of life before the loop counts as blocked."""

PAUSE: Final = 0.5
"""Seconds between two questions."""

_FRAMES: Final = 20
_OURS: Final = "mcp_tool."


class Watchdog:
    """Watches one event loop, from the thread that runs it.

    Args:
        loop: The loop.
        limit: Seconds without a sign of life before it counts as blocked.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: float = LIMIT, pause: float = PAUSE) -> None:
        self._loop = loop
        self._limit = limit
        self._pause = pause
        self._thread = threading.get_ident()
        self._alive = threading.Event()
        self._over = threading.Event()
        self._asked = time.monotonic()
        self._lag = 0.0

    @property
    def lag(self) -> float:
        """Seconds that the loop last took to get to something new; while it is blocked, how long that lasts."""
        return self._lag if self._alive.is_set() else max(self._lag, time.monotonic() - self._asked)

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch no longer."""
        self._over.set()
        self._alive.set()

    def _watch(self) -> None:
        while not self._over.is_set():
            self._alive.clear()
            self._asked = time.monotonic()
            try:
                self._loop.call_soon_threadsafe(self._alive.set)
            except RuntimeError:
                return  # the loop is closed
            if not self._alive.wait(self._limit):
                self._tell()
                self._alive.wait()
            self._lag = time.monotonic() - self._asked
            self._over.wait(self._pause)

    def _tell(self) -> None:
        frame = sys._current_frames().get(self._thread)  # noqa: SLF001 - its documented name
        record, tool = _called(frame)
        fields = {"tool": tool, "stack": _stack(frame)}
        if record is not None:
            fields["request_id"] = record.request_id
        what = f"tool {tool!r} blocks" if tool else "something blocks"
        logger.warning(
            "%s the event loop: every other call waits", what, extra={"fields": {k: v for k, v in fields.items() if v}}
        )
        self._alive.wait()
        if not self._over.is_set():
            seconds = round(time.monotonic() - self._asked, 1)
            logger.warning("%s the event loop no longer", what, extra={"fields": {"tool": tool, "seconds": seconds}})


@contextlib.contextmanager
def watching() -> Iterator[Callable[[], None]]:
    """Watch the running loop from the moment that the block calls what it gets, until its end."""
    watchdog = Watchdog(asyncio.get_running_loop())
    try:
        yield watchdog.start
    finally:
        watchdog.stop()


def _called(frame: FrameType | None) -> tuple[Record | None, str]:
    """Whose call runs in a stack: what this runtime has in it names the record so, in each task that a call has."""
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith(_OURS):
            record = frame.f_locals.get("record")
            if isinstance(record, Record):
                return record, record.tool
        frame = frame.f_back
    return None, ""


def _stack(frame: FrameType | None) -> str:
    """The author's lines of a stack, the innermost last; where there are none, the last ones of all."""
    if frame is None:
        return ""
    whole = traceback.StackSummary.extract(traceback.walk_stack(frame), limit=10 * _FRAMES)
    whole.reverse()
    theirs = [line for line in whole if loading.is_authors(line)]
    return "".join(traceback.format_list(theirs[-_FRAMES:] or whole[-3:]))

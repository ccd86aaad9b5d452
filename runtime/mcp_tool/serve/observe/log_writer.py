"""Lines to a descriptor that somebody else reads, in order, and never waiting for that somebody.

A line goes out at once wherever that cannot block, so that a crash loses nothing: into a file, or into a pipe that has
room. Where whoever reads is slow, lines wait in memory and a thread writes them; when that is full too, further ones
are counted and dropped, and a line says so as soon as there is room. `O_NONBLOCK` is no way to do it: the flag belongs
to everybody who shares the pipe, whoever started this process among them.
"""

import contextlib
import json
import os
import select
import stat
import threading
import time
from collections import deque
from typing import Final

ROOM: Final = 4 * 1024 * 1024
"""Bytes that wait for a slow reader before lines are dropped."""

_AT_ONCE: Final = 4096
"""Bytes that a pipe takes whole once it is writable (Linux, pipe(7): PIPE_BUF, and one free page)."""

_IDLE: Final = 1.0
"""Seconds that the thread stays without work."""


class Writer:
    """The way to one descriptor, for all threads.

    Attributes:
        lost: Lines dropped so far because nobody read.
    """

    def __init__(self, descriptor: int, room: int = ROOM) -> None:
        self._descriptor, self._room = descriptor, room
        self.lost = 0
        self._reset()
        if hasattr(os, "register_at_fork"):
            # What waits belongs to the parent, whose thread writes it; and its lock may be held this very moment.
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._more = threading.Condition(self._lock)
        self._waiting: deque[bytes] = deque()
        self._size = self._unsaid = 0
        self._thread: threading.Thread | None = None
        self._poll: select.poll | None = None
        self._is_file = False
        with contextlib.suppress(OSError, ValueError):
            self._is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
            if hasattr(select, "poll"):  # not on Windows, where the thread writes everything
                self._poll = select.poll()
                self._poll.register(self._descriptor, select.POLLOUT)

    def write(self, line: bytes) -> None:
        """Write a line; its end is added here. Never blocks, never raises."""
        data = line + b"\n"
        with self._lock:
            if not self._waiting and self._takes(len(data)):
                data = self._put(data)
            if data:
                self._wait(data)

    def flush(self, seconds: float) -> bool:
        """Wait until everything is written, but no longer than that; whether it is."""
        end = time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            return False
        try:
            while self._waiting:
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._more.wait(left)
            return True
        finally:
            self._lock.release()

    def _takes(self, size: int) -> bool:
        """Whether that many bytes can be written now without waiting."""
        if self._is_file:
            return True
        return self._poll is not None and size <= _AT_ONCE and bool(self._poll.poll(0))

    def _put(self, data: bytes) -> bytes:
        """Write what goes; what did not. Where nobody will ever read, everything went."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except BlockingIOError:
            return bytes(view)
        except OSError:
            self.lost += 1
        return b""

    def _wait(self, data: bytes) -> None:
        if self._size + len(data) > self._room:
            self.lost += 1
            self._unsaid += 1
            return
        self._waiting.append(data)
        self._size += len(data)
        if self._thread is None:
            self._thread = threading.Thread(target=self._drain, name="log", daemon=True)
            self._thread.start()
        self._more.notify_all()

    def _drain(self) -> None:
        """The thread: writes what waits, and ends when nothing did for a while."""
        me = threading.current_thread()
        while True:
            with self._lock:
                if not self._waiting:
                    self._more.wait(_IDLE)
                if self._thread is not me or not self._waiting:
                    self._thread = None if self._thread is me else self._thread
                    return
                data = self._waiting[0]
            self._put_slowly(data)
            with self._lock:
                self._waiting.popleft()
                self._size -= len(data)
                if self._unsaid and self._size < self._room // 2:
                    self._say()
                self._more.notify_all()

    def _put_slowly(self, data: bytes) -> None:
        while data := self._put(data):
            if self._poll is not None:
                self._poll.poll()
            else:
                time.sleep(0.01)

    def _say(self) -> None:
        document = {"ts": round(time.time(), 3), "level": "warning", "logger": "mcp_tool.serve"}
        words = {"msg": f"{self._unsaid} log lines were dropped: nobody read them", "lost": self._unsaid}
        data = json.dumps({**document, **words}).encode() + b"\n"
        self._unsaid = 0
        self._waiting.append(data)
        self._size += len(data)

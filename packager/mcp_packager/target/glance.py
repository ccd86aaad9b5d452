"""One look at the world for many: what a command about many tools reads once for all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Glance:
    """What was read in one run. Only for looking: what is changed is read anew. Safe to use from several threads."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._slots: dict[Hashable, _Slot] = {}

    def once(self, key: Hashable, look: Callable[[], T]) -> T:
        """What ``look`` answered the first time; who asks meanwhile waits. A failed look is made again."""
        with self._mutex:
            slot = self._slots.setdefault(key, _Slot())
        with slot.mutex:
            if not slot.filled:
                slot.value, slot.filled = look(), True
            found: T = slot.value
            return found


class _Slot:
    """One thing that was looked at."""

    __slots__ = ("filled", "mutex", "value")

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self.filled = False
        self.value: Any = None

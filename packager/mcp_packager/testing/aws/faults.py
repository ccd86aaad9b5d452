"""What goes wrong on the way to AWS: throttled calls, answers that are lost, a caller that is killed."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

_READS = re.compile(r"^(Get|List|Describe|BatchGet|BatchCheck|Head|Filter|GET|HEAD|Invoke)")

Sort = Literal["throttle", "lose", "kill before", "kill after"]
SORTS: tuple[Sort, ...] = ("throttle", "lose", "kill before", "kill after")


@dataclass
class Moment:
    """Which of the writes from now on goes wrong, from 0, and how; ``victim`` is the process that is killed.

    With ``operation``, such as ``PublishVersion``, only its calls are counted.
    """

    sort: Sort
    number: int
    victim: int = 0
    reached: bool = False
    operation: str = ""


@dataclass
class Faults:
    """What was asked, and what is to go wrong.

    Attributes:
        asked: Every call, as ``lambda CreateFunction``.
        throttled: How many more calls of an operation are throttled.
        lost: How many more answers of an operation are lost, the call having been done.
    """

    asked: list[str] = field(default_factory=list)
    throttled: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    moment: Moment | None = None
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, moment: Moment | None) -> None:
        """Count writes anew, and have one go wrong."""
        with self._lock:
            self.moment, self._count = moment, 0

    def writes(self, since: int = 0) -> list[str]:
        """What was asked that changes something, from the place of ``asked`` on."""
        return [one for one in self.asked[since:] if not _READS.match(one.partition(" ")[2])]

    def before(self, service: str, operation: str) -> Literal["do", "throttle", "lose", "gone"]:
        """What becomes of a call; ``gone``: its caller is dead before it is done."""
        with self._lock:
            self.asked.append(f"{service} {operation}")
            if self.throttled[operation] > 0:
                self.throttled[operation] -= 1
                return "throttle"
            if self.lost[operation] > 0:
                self.lost[operation] -= 1
                return "lose"
            moment = self.moment
            if moment is None or _READS.match(operation) or moment.operation not in {"", operation}:
                return "do"
            is_it, self._count = self._count == moment.number, self._count + 1
            if not is_it:
                return "do"
            moment.reached = True
            match moment.sort:
                case "throttle":
                    return "throttle"
                case "kill before":
                    os.kill(moment.victim, signal.SIGKILL)
                    return "gone"
                case "lose" | "kill after":
                    return "lose"

    def after(self) -> None:
        """A call whose answer is lost was done: end its caller, if that is what was wanted."""
        with self._lock:
            moment = self.moment
            if moment is not None and moment.reached and moment.sort == "kill after" and moment.victim:
                os.kill(moment.victim, signal.SIGKILL)
                moment.victim = 0

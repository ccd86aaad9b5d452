"""What every run of the engine is given: who runs it, how it waits, whom it tells."""

from __future__ import annotations

import getpass
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mcp_packager.progress import Progress, Silent


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, so that tests can bend it. ``now`` is seconds since the epoch."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def stamp(self) -> str:
        """The present as RFC 3339 in UTC, to the second."""
        return stamp(self.now())


def stamp(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def whoami() -> str:
    """The user and the machine, for records and locks."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{platform.node() or 'localhost'}"


@dataclass(frozen=True, slots=True)
class Run:
    """The circumstances of one run.

    ``wait`` is how many seconds to wait for a lock that another holds; ``lease`` how long ours holds without being
    renewed; ``workers`` how many independent resources are changed at once; ``attempts`` how often a change that
    the world calls transient is tried, with ``backoff`` seconds before the second try, doubling.
    """

    who: str = field(default_factory=whoami)
    progress: Progress = field(default_factory=Silent)
    clock: Clock = Clock()
    wait: float = 0.0
    lease: float = 60.0
    workers: int = 8
    attempts: int = 6
    backoff: float = 0.25

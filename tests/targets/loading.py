"""Keeping a server under the load of a real client in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

AT_ONCE = 4


@dataclass
class Seen:
    """What the client saw, once it has ended."""

    answers: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(self.answers.values())


class Client:
    """The client's process, which takes one load after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @contextmanager
    def load(
        self,
        url: str,
        mode: str = "2026-07-28",
        *,
        at_once: int = AT_ONCE,
        pause: float = 0.0,
        least: int = 0,
        seconds: float = 60.0,
    ) -> Iterator[Seen]:
        """Call while the body runs, and then until ``least`` calls were answered, ``seconds`` longer at most."""
        seen = Seen()
        self._order({"url": url, "mode": mode, "at_once": at_once, "pause": pause})
        try:
            yield seen
        finally:
            self._order({"least": least, "seconds": seconds})
            assert self._process.stdout is not None
            told = json.loads(self._process.stdout.readline())
            seen.answers, seen.failed = told["seen"], told["failed"]

    def _order(self, order: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()


@contextmanager
def client() -> Iterator[Client]:
    """A client that is there for as long as the body runs."""
    script = Path(__file__).with_name("load.py")
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Client(process)
        process.communicate(timeout=60)

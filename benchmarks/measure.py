"""Paired timing: A B A B, so that a machine that slows down slows both, and the ratio of neighbours holds."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Timer = Callable[[], float]
"""Does the work once and returns its seconds."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Least, median and greatest of some numbers."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one number."""
        return cls(min(values), statistics.median(values), max(values))

    def scaled(self, factor: float) -> Spread:
        """The same spread in another unit."""
        return Spread(self.low * factor, self.median * factor, self.high * factor)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


@dataclass(frozen=True, slots=True)
class Pair:
    """Seconds of both sides, and what neighbours make of each other."""

    ours: Spread
    theirs: Spread
    ratio: Spread
    difference: Spread
    """Seconds that ours takes more than theirs."""

    @classmethod
    def of(cls, seconds: Sequence[tuple[float, float]]) -> Pair:
        """What at least one run of both sides makes."""
        return cls(
            ours=Spread.of([a for a, _ in seconds]),
            theirs=Spread.of([b for _, b in seconds]),
            ratio=Spread.of([a / b for a, b in seconds]),
            difference=Spread.of([a - b for a, b in seconds]),
        )


def single(ours: Timer, runs: int) -> Spread:
    """Seconds of one side alone, after one run that is not counted."""
    ours()
    return Spread.of([ours() for _ in range(runs)])


def paired(ours: Timer, theirs: Timer, runs: int) -> Pair:
    """Both sides by turns, after one run of each that is not counted."""
    ours()
    theirs()
    return Pair.of([(ours(), theirs()) for _ in range(runs)])


def process(command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Timer:
    """A timer of a whole process that must succeed and whose output is thrown away.

    Raises, when it is run:
        RuntimeError: the process failed; the end of its stderr is in the message.
    """

    def once() -> float:
        started = time.perf_counter()
        done = subprocess.run(command, cwd=cwd, env=dict(env or environment()), capture_output=True, check=False)
        seconds = time.perf_counter() - started
        if done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(map(str, command))}\nfailed ({done.returncode}): {said}")
        return seconds

    return once


def environment(**more: str) -> dict[str, str]:
    """This process's environment, with bytecode written as Python does by itself, and what ``more`` sets."""
    kept = {key: value for key, value in os.environ.items() if key not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}}
    return kept | {"NO_COLOR": "1", "UV_PYTHON_DOWNLOADS": "never"} | more

"""Many tool projects at once: side by side, bounded, and none of them stops another."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from mcp_packager.errors import PackError, Problem, no_room
from mcp_packager.progress import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_ONCE: Final = max(4, 2 * (os.cpu_count() or 1))
"""Projects at work at once. Most of a deploy is waiting."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Result]):
    """What became of one item: a result, or the problems that ended it and their exit code."""

    item: Item
    result: Result | None = None
    problems: tuple[Problem, ...] = ()
    exit_code: int = 0


def side_by_side(
    items: Sequence[Item], work: Callable[[Item], Result], *, at_once: int = AT_ONCE
) -> tuple[Outcome[Item, Result], ...]:
    """Do the work for every item and answer in their order.

    What a user can run into ends its own item alone; a fault of ours ends all, once what is under way has ended. An
    interrupt begins nothing more and waits for what is under way, which must not be left half-done; a second one
    does not wait.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(len(items)):
        waiting.put(number)
    done: dict[int, Outcome[Item, Result]] = {}
    faults: list[BaseException] = []

    def go() -> None:
        while not faults:
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done[number] = _outcome(items[number], work)
            except BaseException as fault:  # noqa: BLE001 - raised again below, where somebody waits for it
                faults.append(fault)

    # Daemons: after a second interrupt the process ends without them.
    workers = [threading.Thread(target=go, daemon=True) for _ in range(min(at_once, len(items)))]
    for worker in workers:
        worker.start()
    try:
        _join(workers)
    except BaseException as interrupt:
        faults.append(interrupt)
        _join(workers)
        raise
    if faults:
        raise faults[0]
    return tuple(done[number] for number in range(len(items)))


def _outcome(item: Item, work: Callable[[Item], Result]) -> Outcome[Item, Result]:
    try:
        return Outcome(item, work(item))
    except PackError as error:
        return Outcome(item, problems=error.problems, exit_code=error.exit_code)
    except OSError as error:
        full = no_room(error)
        if full is None:
            raise
        return Outcome(item, problems=full.problems, exit_code=full.exit_code)


def _join(workers: Sequence[threading.Thread]) -> None:
    for worker in workers:
        worker.join()


@dataclass(frozen=True, slots=True)
class Named:
    """A progress that says which of many it speaks of."""

    progress: Progress
    name: str

    def stage(self, name: str) -> AbstractContextManager[None]:
        """One stage of this one's work."""
        return self.progress.stage(f"{self.name}: {name}")

    def note(self, text: str) -> None:
        """A remark about this one."""
        self.progress.note(f"{self.name}: {text}")

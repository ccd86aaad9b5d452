"""What a run that stopped says: its cause, what was done, what was not, what clients get now."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_packager.errors import PackError, Problem
from mcp_packager.target import Change


class Stopped(PackError):  # noqa: N818 - an outcome that is told, named as it is told
    """A run that did not reach its end. Its exit code is that of its cause."""

    def __init__(self, cause: PackError, told: Problem) -> None:
        super().__init__((*cause.problems, told))
        self.cause = cause
        self.exit_code = cause.exit_code  # type: ignore[misc]  # a class's constant, here the cause's


def untouched() -> Problem:
    """The closing record of an error that came before the first change."""
    return Problem("nothing was changed", "mend the cause above and run the same command again")


def explain(done: Sequence[Change], undone: Sequence[Change], state: str) -> Problem:
    """The closing record of an error: what happened up to the stop, and what holds now."""
    made = ", ".join(f"{change.action.value} {change.key}" for change in done) or "nothing"
    left = ", ".join(f"{change.action.value} {change.key}" for change in undone) or "nothing"
    return Problem(
        what=f"stopped after: {made}; not done: {left}; {state}",
        fix="mend the cause above and run the same command again",
    )

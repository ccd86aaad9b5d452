"""Questions before something is replaced or destroyed."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from mcp_packager.cli.progress import Shown
from mcp_packager.errors import Problem, UsageError


def asker(*, yes: bool, progress: Shown) -> Callable[[str], bool]:
    """A function that asks one yes-or-no question.

    It answers yes by itself after ``--yes``, asks on a terminal, and elsewhere raises
    :class:`UsageError`: a script that did not say ``--yes`` must not destroy anything.
    """

    def ask(question: str) -> bool:
        if yes:
            return True
        if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(Problem(f"this needs a yes: {question}", "read what it does, then add `--yes`"))
        with progress.paused():
            return _ask(question)

    return ask


def must(question: str, *, yes: bool, progress: Shown) -> None:
    """Ask, and leave with exit code 130 where the answer is no: nothing was done."""
    if not asker(yes=yes, progress=progress)(question):
        click.echo("Nothing was changed.", err=True)
        raise click.Abort


def _ask(question: str) -> bool:
    click.echo(f"{question} [y/N] ", nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        click.echo(err=True)  # end of input: leave the prompt's line
    return answer.strip().lower() in {"y", "yes"}

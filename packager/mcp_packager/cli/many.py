"""What a command about many tools prints: one table of what was done, and beside it what was wrong with whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mcp_packager.cli import output, problems
from mcp_packager.cli.options import Common

if TYPE_CHECKING:
    from mcp_packager.pipeline.fleet import ToolReport

Report = TypeVar("Report")


def show(
    found: Sequence[ToolReport[Report]],
    *,
    common: Common,
    command: str,
    key: str,
    header: Sequence[str],
    row: Callable[[Report], Sequence[object]],
) -> None:
    """Print every tool's reports under ``key`` (with ``--json``) or as rows, problems on standard error.

    Leaves with the highest exit code of all.
    """
    code = max(each.exit_code for each in found)
    for each in found:
        if each.problems:
            output.say(output.bold(f"{each.project.name}:"))
            problems.show(each.problems, exit_code=each.exit_code, as_json=False)
    if common.as_json:
        output.document(command, exit_code=code, tools=[_document(each, key) for each in found])
    else:
        rows: list[Sequence[object]] = []
        for each in found:
            rows += [(each.project.name, *row(report)) for report in each.reports]
            if each.problems:
                rows.append((each.project.name, *([None] * (len(header) - 1)), f"failed: {each.problems[0].what}"))
        output.data(output.table(("tool", *header), rows))
        failed = sum(1 for each in found if each.exit_code)
        output.data(f"{len(found) - failed} of {len(found)} tools done" if failed else f"{len(found)} tools done")
    if code:
        raise click.exceptions.Exit(code)


def alone(option: str, value: object) -> None:
    """Refuse what is about one tool beside ``--all``."""
    if value is not None:
        raise click.UsageError(f"{option} is about one tool; leave it or --all away")


def _document(each: ToolReport[Any], key: str) -> dict[str, object]:
    return {
        "tool": each.project.name,
        "project": each.project,
        "exit_code": each.exit_code,
        key: each.reports,
        "problems": [problem.as_json() for problem in each.problems],
    }

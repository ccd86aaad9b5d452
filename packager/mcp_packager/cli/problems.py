"""How problems look: what happened, what was expected, what to type."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from mcp_packager.cli import output
from mcp_packager.errors import Problem


def show(problems: Sequence[Problem], *, exit_code: int, as_json: bool) -> None:
    """Print every problem to standard error, and with ``--json`` also as a document to standard output."""
    output.say("\n".join(_block(problem) for problem in problems))
    if len(problems) > 1:
        output.say(f"\n{len(problems)} problems")
    if as_json:
        output.document("error", exit_code=exit_code, problems=[problem.as_json() for problem in problems])


def _block(problem: Problem) -> str:
    coloured = output.colour_wanted(sys.stderr)
    head = click.style("error:", fg="red", bold=True) if coloured else "error:"
    place = f"{problem.where}: " if str(problem.where) else ""
    lines = [f"{head} {place}{problem.what}"]
    if problem.expected is not None:
        lines.append(f"  expected: {problem.expected}")
    if problem.found is not None:
        lines.append(f"  found:    {problem.found}")
    fix = problem.fix.replace("\n", "\n            ")
    label = click.style("  to mend:", fg="green") if coloured else "  to mend:"
    lines.append(f"{label}  {fix}")
    return "\n".join(lines)

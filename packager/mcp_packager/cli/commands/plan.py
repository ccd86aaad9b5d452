"""``mcp-pack plan``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mcp_packager.cli import many, output
from mcp_packager.cli.commands.check import comparison_lines
from mcp_packager.cli.options import Common, all_option, allow_breaking_option, artifact_option, common_options
from mcp_packager.cli.progress import Shown

if TYPE_CHECKING:
    from mcp_packager.pipeline.aiming import Order
    from mcp_packager.pipeline.reports import PlanReport

CHANGES_DUE = 4


@click.command()
@click.option("--exit-code", "exit_code", is_flag=True, help="Exit with 4 where changes are due, for scripts.")
@artifact_option
@all_option
@allow_breaking_option
@common_options(targets=True, locked=True, contract=True)
def plan(common: Common, *, exit_code: bool, artifact: str | None, every: bool, allow_breaking: bool) -> None:
    """Show what a deploy would change. Nothing is changed."""
    from mcp_packager.pipeline.aiming import Order

    order = Order(artifact, allow_breaking=allow_breaking)
    if every:
        many.alone("--artifact", artifact)
        _plan_all(common, order, exit_code=exit_code)
        return
    from mcp_packager.pipeline.deploy import plan as compute

    with Shown(quiet=common.quiet) as progress:
        reports = compute(common.request(progress), order)
    if common.as_json:
        output.document("plan", changes_due=any(report.changes_due for report in reports), plans=reports)
    else:
        for report in reports:
            output.data(output.bold(f"{report.target} ({report.stage})"))
            output.data(report.text.rstrip("\n"))
            output.data("\n".join(comparison_lines(report.contract)))
    if exit_code and any(report.changes_due for report in reports):
        raise click.exceptions.Exit(CHANGES_DUE)


def _plan_all(common: Common, order: Order, *, exit_code: bool) -> None:
    from mcp_packager.pipeline.fleet import plan_all

    with Shown(quiet=common.quiet) as progress:
        found = plan_all(common.request(progress), order)
    many.show(found, common=common, command="plan", key="plans", row=_row, header=("target", "stage", "changes"))
    if exit_code and any(report.changes_due for each in found for report in each.reports):
        raise click.exceptions.Exit(CHANGES_DUE)


def _row(report: PlanReport) -> tuple[object, ...]:
    return report.target, report.stage, report.text.strip().splitlines()[-1] if report.changes_due else "none"

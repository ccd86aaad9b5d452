"""``mcp-pack plan``."""

from __future__ import annotations

import click

from mcp_packager.cli import output
from mcp_packager.cli.commands.check import comparison_lines
from mcp_packager.cli.options import Common, allow_breaking_option, artifact_option, common_options
from mcp_packager.cli.progress import Shown

CHANGES_DUE = 4


@click.command()
@click.option("--exit-code", "exit_code", is_flag=True, help="Exit with 4 where changes are due, for scripts.")
@artifact_option
@allow_breaking_option
@common_options(targets=True, locked=True)
def plan(common: Common, *, exit_code: bool, artifact: str | None, allow_breaking: bool) -> None:
    """Show what a deploy would change. Nothing is changed."""
    from mcp_packager.pipeline.deploy import plan as compute

    with Shown(quiet=common.quiet) as progress:
        reports = compute(common.request(progress), artifact=artifact, allow_breaking=allow_breaking)
    if common.as_json:
        output.document("plan", changes_due=any(report.changes_due for report in reports), plans=reports)
    else:
        for report in reports:
            output.data(output.bold(f"{report.target} ({report.stage})"))
            output.data(report.text.rstrip("\n"))
            output.data("\n".join(comparison_lines(report.contract)))
    if exit_code and any(report.changes_due for report in reports):
        raise click.exceptions.Exit(CHANGES_DUE)

"""``mcp-pack status``."""

from __future__ import annotations

import click

from mcp_packager.cli import output
from mcp_packager.cli.commands.deploy import address
from mcp_packager.cli.options import Common, common_options
from mcp_packager.cli.progress import Shown


@click.command()
@common_options(targets=True)
def status(common: Common) -> None:
    """Show how each deployment is."""
    from mcp_packager.pipeline.operate import status as look

    with Shown(quiet=common.quiet) as progress:
        reports = look(common.request(progress))
    if common.as_json:
        output.document("status", deployments=reports)
        return
    rows = [
        (
            report.target,
            report.stage,
            report.state,
            report.release,
            report.version,
            _duration(report.uptime_seconds),
            report.restarts,
            address(report.endpoint),
        )
        for report in reports
    ]
    output.data(output.table(("target", "stage", "state", "release", "version", "up", "restarts", "endpoint"), rows))
    for report in reports:
        for line in report.detail:
            output.data(f"{report.target}: {line}")


def _duration(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {rest}s" if minutes else f"{rest}s"

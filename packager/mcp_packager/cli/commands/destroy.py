"""``mcp-pack destroy``."""

from __future__ import annotations

import click

from mcp_packager.cli import output
from mcp_packager.cli.asking import must
from mcp_packager.cli.options import Common, common_options, yes_option
from mcp_packager.cli.progress import Shown
from mcp_packager.cli.words import deployments


@click.command()
@click.option("--data", "with_data", is_flag=True, help="Delete the stored data (volumes) too.")
@yes_option
@common_options(targets=True)
def destroy(common: Common, *, with_data: bool, yes: bool) -> None:
    """Remove a deployment. Stored data and what other tools share stay, unless --data is said."""
    from mcp_packager.pipeline.operate import destroy as remove

    with Shown(quiet=common.quiet) as progress:
        data = ", with its stored data" if with_data else ""
        must(f"Remove {deployments(common)}{data}?", yes=yes, progress=progress)
        reports = remove(common.request(progress), data=with_data)
    if common.as_json:
        output.document("destroy", deployments=reports)
        return
    for report in reports:
        if not report.removed and not report.kept:
            output.data(f"{report.target} ({report.stage}): there was nothing to remove")
        for name in report.removed:
            output.data(f"{report.target} ({report.stage}): removed {name}")
        for name in report.kept:
            output.data(f"{report.target} ({report.stage}): kept {name}")

"""``mcp-pack drift``."""

from __future__ import annotations

import click

from mcp_packager.cli import output
from mcp_packager.cli.commands.plan import CHANGES_DUE
from mcp_packager.cli.options import Common, common_options
from mcp_packager.cli.progress import Shown

_WINS = "the release wins: mcp-pack deploy mends it"
_UNFINISHED = "no release says so: mcp-pack deploy finishes what was begun, mcp-pack destroy removes it"


@click.command()
@common_options(targets=True)
def drift(common: Common) -> None:
    """Compare the world with the last release. Exits with 4 where they differ. Nothing is changed."""
    from mcp_packager.pipeline.operate import drift as compare

    with Shown(quiet=common.quiet) as progress:
        reports = compare(common.request(progress))
    drifted = any(report.drifted for report in reports)
    if common.as_json:
        output.document("drift", drifted=drifted, deployments=reports)
    else:
        for report in reports:
            release = "no release" if report.release is None else f"release {report.release}"
            output.data(f"{output.bold(report.target)} ({report.stage}), {release}")
            output.data(report.text.rstrip("\n") if report.drifted else "nothing has drifted")
            if report.drifted:
                output.data(_WINS if report.release is not None else _UNFINISHED)
    if drifted:
        raise click.exceptions.Exit(CHANGES_DUE)

"""``mcp-pack rollback``."""

from __future__ import annotations

import click

from mcp_packager.cli.asking import must
from mcp_packager.cli.commands.deploy import show
from mcp_packager.cli.options import Common, common_options, yes_option
from mcp_packager.cli.progress import Shown
from mcp_packager.cli.words import deployments


@click.command()
@click.option(
    "--to",
    "to",
    type=click.IntRange(min=1),
    metavar="RELEASE",
    help="The release to go back to.  [default: the one before]",
)
@yes_option
@common_options(targets=True)
def rollback(common: Common, *, to: int | None, yes: bool) -> None:
    """Go back to an earlier release: the same artifact and the same config, deployed again."""
    from mcp_packager.pipeline.operate import rollback as go_back

    with Shown(quiet=common.quiet) as progress:
        where = "the release before" if to is None else f"release {to}"
        must(f"Put {where} back in place of the current one: {deployments(common)}?", yes=yes, progress=progress)
        reports = go_back(common.request(progress), to=to)
    show(reports, common=common, command="rollback")

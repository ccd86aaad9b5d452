"""``mcp-pack unlock``."""

from __future__ import annotations

import click

from mcp_packager.cli import output
from mcp_packager.cli.asking import must
from mcp_packager.cli.options import Common, common_options, yes_option
from mcp_packager.cli.progress import Shown
from mcp_packager.cli.words import deployments


@click.command()
@yes_option
@common_options(targets=True)
def unlock(common: Common, *, yes: bool) -> None:
    """Take away a lock that a dead deploy left, and say whose it was.

    A lock runs out by itself; take it away only when you know that its holder is gone.
    """
    from mcp_packager.pipeline.operate import unlock as release

    with Shown(quiet=common.quiet) as progress:
        must(f"Take away whatever lock is held on {deployments(common)}?", yes=yes, progress=progress)
        robbed = release(common.request(progress))
    if common.as_json:
        output.document("unlock", holders=robbed)
        return
    for target, holder in robbed.items():
        output.data(f"{target}: {'nobody held the lock' if holder is None else f'took the lock from {holder}'}")

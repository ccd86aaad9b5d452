"""``mcp-pack logs``."""

from __future__ import annotations

import click

from mcp_packager.cli import output
from mcp_packager.cli.options import Common, common_options
from mcp_packager.cli.progress import Shown


@click.command()
@click.option(
    "--lines", "-n", type=click.IntRange(min=0), default=100, show_default=True, help="How many to begin with."
)
@click.option("--follow", "-f", is_flag=True, help="Go on printing until Ctrl-C.")
@common_options(targets=True)
def logs(common: Common, *, lines: int, follow: bool) -> None:
    """Print the server's log. With --json, each line is a document of its own."""
    from mcp_packager.pipeline.operate import logs as read

    progress = Shown(quiet=common.quiet)
    for line in read(common.request(progress), lines=lines, follow=follow):
        if common.as_json:
            output.json_line("logs", line=line.rstrip("\n"))
        else:
            output.data(line.rstrip("\n"))

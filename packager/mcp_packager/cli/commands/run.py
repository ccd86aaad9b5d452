"""``mcp-pack run``."""

from __future__ import annotations

from dataclasses import replace

import click

from mcp_packager.cli.options import Common, common_options, complete_target
from mcp_packager.cli.progress import Shown


@click.command()
@click.option(
    "--transport", type=click.Choice(["stdio", "http"]), default="http", show_default=True, help="How clients connect."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--reload", "reload_", is_flag=True, help="Start again when a file of the project is saved.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_target,
    help="Run it on a target, services and all, and remove it there at the end.  [default: as a process here]",
)
@common_options(locked=True, json=False)
def run(common: Common, *, transport: str, host: str, port: int, reload_: bool, targets: tuple[str, ...]) -> None:
    """Serve the tool here, in the foreground, until Ctrl-C.

    It runs from the project's own locked environment, as an artifact would. With --transport stdio, standard
    output belongs to the protocol.
    """
    if targets:
        _on_target(replace(common, targets=targets), transport, host, port, reload_=reload_)
        return
    from mcp_packager.pipeline.serve import run as serve

    # The server's own output takes the terminal, so no progress line is drawn over it.
    progress = Shown(quiet=common.quiet)
    code = serve(common.request(progress), transport=transport, host=host, port=port, reload=reload_)
    raise click.exceptions.Exit(code)


def _on_target(common: Common, transport: str, host: str, port: int, *, reload_: bool) -> None:
    from mcp_packager.pipeline.trying import refuse_stdio, try_out

    if transport == "stdio":
        refuse_stdio()
    try_out(common.request(Shown(quiet=common.quiet)), host=host, port=port, reload=reload_)

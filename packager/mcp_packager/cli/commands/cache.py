"""``mcp-pack cache``: the store that all projects share."""

from __future__ import annotations

import click

from mcp_packager.cli import output
from mcp_packager.cli.options import Common, common_options
from mcp_packager.cli.words import readable


@click.group()
def cache() -> None:
    """Look after the store of wheels, compiled modules and layers."""


@cache.command()
@click.option(
    "--days", type=click.IntRange(min=0), default=30, show_default=True, help="Delete what nobody used for so long."
)
@common_options()
def prune(common: Common, *, days: int) -> None:
    """Delete what has not been used for a while. Everything in the store can be made again."""
    from mcp_packager.store import Store

    report = Store().prune(older_than=days * 86400.0)
    if common.as_json:
        output.document("cache prune", prune=report)
        return
    output.data(
        f"deleted {report.removed} entries ({readable(report.removed_bytes)}), "
        f"kept {report.kept} ({readable(report.kept_bytes)})"
    )

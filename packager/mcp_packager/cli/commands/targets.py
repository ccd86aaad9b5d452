"""``mcp-pack targets``."""

from __future__ import annotations

import click

from mcp_packager.cli import output
from mcp_packager.cli.options import Common, common_options


@click.command()
@click.option("--support", is_flag=True, help="Show which manifest keys each target honours, maps or refuses.")
@common_options()
def targets(common: Common, *, support: bool) -> None:
    """List the installed targets and what they support."""
    from mcp_packager.cli.peek import installed_targets

    if not support:
        names = installed_targets()
        if common.as_json:
            output.document("targets", targets=names)
        else:
            output.data("\n".join(names))
        return
    from mcp_packager.pipeline.schema import support as describe

    table = describe()
    if common.as_json:
        output.document("targets", support=table)
        return
    columns = tuple(dict.fromkeys(name for row in table.values() for name in row))
    rows = [(key, *(row.get(name) for name in columns)) for key, row in table.items()]
    output.data(output.table(("key", *columns), rows))

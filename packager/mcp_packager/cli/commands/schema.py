"""``mcp-pack schema``."""

from __future__ import annotations

import json

import click

from mcp_packager.cli import output
from mcp_packager.cli.options import Common, common_options


@click.command()
@common_options()
def schema(common: Common) -> None:
    """Print the JSON Schema of mcp-tool.toml, with the options of every installed target.

    Without --json it is the schema alone, ready for a file that an editor reads.
    """
    from mcp_packager.pipeline.schema import schema as describe

    document = describe()
    if common.as_json:
        output.document("schema", json_schema=document)
    else:
        output.data(json.dumps(document, ensure_ascii=False, indent=2))

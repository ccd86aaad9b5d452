"""``mcp-pack new``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from mcp_packager.cli import output
from mcp_packager.cli.options import Common, common_options
from mcp_packager.cli.progress import Shown


@click.command()
@click.argument("name")
@click.option("--template", metavar="PATH|URL", help="A cookiecutter template instead of the built-in one.")
@click.option("--checkout", metavar="REVISION", help="Branch, tag or commit of a template that comes from git.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A variable of the template; may be given several times.",
)
@click.option(
    "--hooks", is_flag=True, help="Run the programs that a template brings. Only for templates that you trust."
)
@click.option(
    "--from",
    "server",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Wrap an existing MCPServer or FastMCP server instead of writing a new one.",
)
@click.option("--object", "object_name", metavar="NAME", help="The server in --from FILE, where it holds several.")
@click.option("--no-git", is_flag=True, help="Do not make a git repository.")
@common_options(words="The folder to make.  [default: NAME, here]")
def new(
    common: Common,
    *,
    name: str,
    template: str | None,
    checkout: str | None,
    settings: tuple[str, ...],
    hooks: bool,
    server: Path | None,
    object_name: str | None,
    no_git: bool,
) -> None:
    """Start a tool project in a new folder NAME, or in --project DIR.

    \b
    mcp-pack new word-tools
    mcp-pack new word-tools --from server.py
    mcp-pack new word-tools --template gh:someone/template
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from mcp_packager.scaffold import NewRequest, create

    unsaid = click.get_current_context().get_parameter_source("project") is ParameterSource.DEFAULT
    folder = Path(name) if unsaid else common.project
    asks = (
        template is not None and not common.quiet and output.is_terminal(sys.stdin) and output.is_terminal(sys.stderr)
    )
    request = NewRequest(
        name=name,
        folder=folder,
        template=template,
        checkout=checkout,
        settings=tuple(settings),
        hooks=hooks,
        server=server,
        object_name=object_name,
        git=not no_git,
        ask=asks,
        schema=_schema(common),
    )
    # A template's questions take the terminal, so no progress line is drawn over them.
    with Shown(quiet=common.quiet or asks) as progress:
        project = create(request, progress=progress)
    if common.as_json:
        output.document("new", project=project)
        return
    if common.quiet:
        output.data(str(project.folder))
        return
    output.data(f"wrote {output.bold(str(project.folder))}")
    for file in project.files:
        output.data(f"  {file}")
    for note in project.notes:
        output.data(f"note: {note}")
    output.data("next:")
    for command in (f"cd {shlex.quote(str(project.folder))}", *project.next_commands):
        output.data(f"  {command}")


def _schema(common: Common) -> Mapping[str, Any] | None:
    """What an editor checks the manifest against; a target that cannot be loaded is no reason to write nothing."""
    from mcp_packager.errors import PackError
    from mcp_packager.pipeline.schema import schema

    try:
        return schema()
    except PackError as error:
        if not common.quiet:
            output.say(f"note: no schema for editors is written: {error.problems[0].what}")
        return None

"""``mcp-pack secrets``."""

from __future__ import annotations

import click

from mcp_packager.cli import output
from mcp_packager.cli.options import Common, common_options
from mcp_packager.cli.progress import Shown


@click.group(invoke_without_command=True)
@common_options(targets=True)
@click.pass_context
def secrets(context: click.Context, common: Common) -> None:
    """List the declared secrets: names, sources and whether they are there. Never their values."""
    if context.invoked_subcommand is None:
        _show(common)


@secrets.command(name="list")
@common_options(targets=True)
def listing(common: Common) -> None:
    """List the declared secrets (the same as `mcp-pack secrets`)."""
    _show(common)


@secrets.command()
@common_options(targets=True)
def push(common: Common) -> None:
    """Put the values of env: and file: secrets into the target's own store."""
    from mcp_packager.cli.peek import peek
    from mcp_packager.errors import Problem, UserError

    names = common.targets or peek(common.project).targets or ("local",)
    raise UserError(
        Problem(
            f"no target here keeps secrets in a store of its own: {', '.join(names)}",
            "nothing to push: `local` reads `env:` and `file:` secrets itself whenever it starts the server",
        )
    )


def _show(common: Common) -> None:
    from mcp_packager.pipeline.secrets import listing as read

    with Shown(quiet=common.quiet) as progress:
        lines = read(common.request(progress))
    if common.as_json:
        output.document("secrets", secrets=lines)
        return
    if not lines:
        output.data("the tool declares no secrets")
        return
    rows = [
        (line.name, line.source, "required" if line.required else "optional", _presence(line.present), line.description)
        for line in lines
    ]
    output.data(output.table(("name", "source", "", "here", "description"), rows))


def _presence(present: bool | None) -> str:  # noqa: FBT001 - three states, one of them unknown
    if present is None:
        return "not known from here"
    return "yes" if present else "no"

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
@click.argument("names", nargs=-1, metavar="[NAME]...")
@common_options(targets=True)
def push(common: Common, *, names: tuple[str, ...]) -> None:
    """Read the values of env: and file: secrets again and deliver them to what is deployed.

    Without a NAME, all of them. The server is started with the new values beside the old one, is looked at, and takes
    over only then; nothing else is changed.
    """
    from mcp_packager.pipeline.secrets import push as deliver

    with Shown(quiet=common.quiet) as progress:
        reports = deliver(common.request(progress), names=names)
    if common.as_json:
        output.document("secrets push", pushed=reports)
        return
    for report in reports:
        delivered = ", ".join(report.secrets)
        output.data(f"{report.target} ({report.stage}): delivered anew to release {report.release}: {delivered}")


@secrets.command(name="new-key")
@common_options()
def new_key(common: Common) -> None:
    """Make a key for callers to show, and print it once.

    The first line is the key, for the callers. A secret named in keys of [serve.auth] holds either it or the second
    line, its hash; with the hash, nobody learns the key from the server.
    """
    from mcp_packager.pipeline.secrets import new_key as make

    made = make()
    if common.as_json:
        output.document("secrets new-key", key=made.key, hash=made.hash)
        return
    output.data(made.key)
    output.data(made.hash)
    if not common.quiet:
        output.say("note: it is kept nowhere; give the key to the callers, and either line to the server's secret")


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

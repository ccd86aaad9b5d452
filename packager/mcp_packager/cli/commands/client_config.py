"""``mcp-pack client-config``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from mcp_packager.cli import output, servers
from mcp_packager.cli.asking import asker
from mcp_packager.cli.options import Common, common_options, yes_option
from mcp_packager.cli.progress import Shown
from mcp_packager.errors import Problem, UsageError

if TYPE_CHECKING:
    from mcp_packager.client_config import Client, Fragment


def _complete_client(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from mcp_packager.client_config import CLIENTS

    return [CompletionItem(name) for name in CLIENTS if name.startswith(incomplete)]


@click.command()
@click.option(
    "--client",
    "client_name",
    required=True,
    metavar="CLIENT",
    shell_complete=_complete_client,
    help="claude-code, claude-desktop, cursor, vscode, codex, gemini-cli, windsurf, cline or zed.",
)
@click.option("--stdio", is_flag=True, help="Let the client start what is built over stdio.  [default]")
@click.option(
    "--url", is_flag=False, flag_value="", metavar="[URL]", help="Connect to the deployed server, or to the given URL."
)
@click.option("--token-env", metavar="VARIABLE", help="The environment variable with the bearer token, for --url.")
@click.option("--name", "name", metavar="NAME", help="What the client calls the server.  [default: the tool's name]")
@click.option("--write", "writes", is_flag=True, help="Merge it into the client's file instead of printing it.")
@click.option("--file", type=click.Path(path_type=Path), metavar="PATH", help="The file to merge into, with --write.")
@yes_option
@common_options(targets=True)
def client_config(
    common: Common,
    *,
    client_name: str,
    stdio: bool,
    url: str | None,
    token_env: str | None,
    name: str | None,
    writes: bool,
    file: Path | None,
    yes: bool,
) -> None:
    """Print or write the settings of an MCP client.

    Without --write it prints a file that holds this server alone. With --write it merges the server into the
    client's file: everything else in it stays as it is, comments included, and the old content is kept beside it
    as `.bak`. Secrets are referred to, never written.
    """
    from mcp_packager import client_config as configs
    from mcp_packager.client_config.merge import location

    client = configs.CLIENTS.get(client_name)
    if client is None:
        fix = f"use one of {', '.join(configs.CLIENTS)}"
        raise UsageError(Problem(f"`{client_name}` is no client that is known here", fix))
    _judge(stdio=stdio, url=url, token_env=token_env, writes=writes, file=file)
    with Shown(quiet=common.quiet) as progress:
        server, notes = servers.find(common, servers.Wanted(url, token_env, name), progress)
        fragment = configs.shape(client, server)
        notes = (*notes, *fragment.notes)
        target = file or location(client, common.project.absolute())
        if writes:
            written = configs.write(client, fragment, target, confirm=asker(yes=yes, progress=progress))
    if not writes:
        _print(common, client, fragment, target, notes)
        return
    if common.as_json:
        output.document("client-config", client=client.name, written=written, entry=fragment.entry, notes=notes)
        return
    output.data(f"{written.file}: {'written' if written.changed else 'unchanged'}")
    if written.backup is not None:
        output.data(f"the old content is in {written.backup}")
    _say(notes, quiet=common.quiet)


def _print(common: Common, client: Client, fragment: Fragment, target: Path, notes: Sequence[str]) -> None:
    from mcp_packager.client_config import render

    text = render(client, fragment)
    if common.as_json:
        output.document(
            "client-config", client=client.name, file=target, entry=fragment.entry, text=text, notes=list(notes)
        )
        return
    output.data(text.rstrip("\n"))
    _say((f"this belongs into {target}; --write merges it there", *notes), quiet=common.quiet)


def _judge(*, stdio: bool, url: str | None, token_env: str | None, writes: bool, file: Path | None) -> None:
    problems: list[Problem] = []
    if stdio and url is not None:
        problems.append(Problem("--stdio and --url exclude each other", "use one of the two"))
    if token_env is not None and url is None:
        problems.append(Problem("--token-env is for a server at a URL", "add --url"))
    if file is not None and not writes:
        problems.append(Problem("--file names the file to merge into", "add --write"))
    if problems:
        raise UsageError(problems)


def _say(notes: Sequence[str], *, quiet: bool) -> None:
    if not quiet:
        for note in notes:
            output.say(f"note: {note}")

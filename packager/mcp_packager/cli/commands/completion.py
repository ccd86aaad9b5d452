"""``mcp-pack completion``."""

from __future__ import annotations

import click

from mcp_packager.cli import output
from mcp_packager.cli.main import COMPLETION_VARIABLE, PROGRAM
from mcp_packager.cli.options import Common, common_options

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@common_options()
def completion(common: Common, *, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: mcp-pack completion bash > ~/.local/share/bash-completion/completions/mcp-pack
    zsh:  mcp-pack completion zsh > "${fpath[1]}/_mcp-pack"
    fish: mcp-pack completion fish > ~/.config/fish/completions/mcp-pack.fish
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from click.shell_completion import get_completion_class

    from mcp_packager.cli.root import root

    maker = get_completion_class(shell)
    if maker is None:  # pragma: no cover - click has all three
        raise click.UsageError(f"click knows no completion for {shell}")
    script = maker(root, {}, PROGRAM, COMPLETION_VARIABLE).source()
    if common.as_json:
        output.document("completion", shell=shell, script=script)
    else:
        output.data(script.rstrip("\n"))

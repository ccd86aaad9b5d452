"""The top of the command tree. ``--help`` shows every command without importing one."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import NamedTuple

import click


class Entry(NamedTuple):
    """A command before it is imported: where it is (``module:attribute``) and its line in the overview."""

    where: str
    summary: str


_HERE = "mcp_packager.cli.commands"

SECTIONS: Mapping[str, Mapping[str, Entry]] = {
    "Write a tool": {
        "new": Entry(f"{_HERE}.new:new", "Start a tool project, or wrap an existing server."),
        "check": Entry(f"{_HERE}.check:check", "Check the project and show what changed for its clients."),
        "run": Entry(f"{_HERE}.run:run", "Serve the tool here, in the foreground."),
        "test": Entry(f"{_HERE}.test:test", "Run the project's tests against the built artifact."),
    },
    "Build and deploy": {
        "lock": Entry(f"{_HERE}.lock:lock", "Resolve the dependencies into mcp-tool.lock."),
        "build": Entry(f"{_HERE}.build:build", "Build the artifacts into dist/<target>/."),
        "plan": Entry(f"{_HERE}.plan:plan", "Show what a deploy would change."),
        "deploy": Entry(f"{_HERE}.deploy:deploy", "Build, deploy and verify."),
    },
    "Use and look after": {
        "invoke": Entry(f"{_HERE}.invoke:invoke", "Call a tool of the deployed server."),
        "status": Entry(f"{_HERE}.status:status", "Show how each deployment is."),
        "logs": Entry(f"{_HERE}.logs:logs", "Print the server's log."),
        "history": Entry(f"{_HERE}.history:history", "List the releases."),
        "drift": Entry(f"{_HERE}.drift:drift", "Compare the world with the last release."),
        "rollback": Entry(f"{_HERE}.rollback:rollback", "Go back to an earlier release."),
        "destroy": Entry(f"{_HERE}.destroy:destroy", "Remove a deployment."),
        "unlock": Entry(f"{_HERE}.unlock:unlock", "Take away a lock that a dead deploy left."),
        "client-config": Entry(f"{_HERE}.client_config:client_config", "Print or write the settings of an MCP client."),
        "monitoring": Entry(f"{_HERE}.monitoring:monitoring", "Write a Grafana dashboard and Prometheus alert rules."),
        "secrets": Entry(f"{_HERE}.secrets:secrets", "List secrets, deliver new values, make keys for callers."),
        "verify-image": Entry(f"{_HERE}.verify_image:verify_image", "Check an image and what is said about it."),
    },
    "About mcp-pack": {
        "schema": Entry(f"{_HERE}.schema:schema", "Print the JSON Schema of mcp-tool.toml."),
        "targets": Entry(f"{_HERE}.targets:targets", "List the installed targets and what they support."),
        "doctor": Entry(f"{_HERE}.doctor:doctor", "Check this machine."),
        "completion": Entry(f"{_HERE}.completion:completion", "Print the completion script of a shell."),
        "cache": Entry(f"{_HERE}.cache:cache", "Look after the store of wheels and layers."),
    },
}

COMMANDS: Mapping[str, Entry] = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All names, in the order of the overview."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the command, or ``None`` where there is no such name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.where.partition(":")
        command = vars(importlib.import_module(module))[attribute]
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.where} is not a command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for an unknown one, name the nearest."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"; did you mean `{near[0]}`?" if near else ""
            ctx.fail(f"there is no command `{args[0]}`{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """The overview, by section, from the table alone."""
        width = max(map(len, COMMANDS))
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), entry.summary) for name, entry in entries.items()])


def _version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    if not value or ctx.resilient_parsing:
        return
    from mcp_packager import __version__

    click.echo(f"mcp-pack {__version__}")
    ctx.exit()


@click.group(
    cls=LazyGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every command takes --help.",
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version and exit."
)
def root() -> None:
    """Build and deploy MCP tools from one mcp-tool.toml."""

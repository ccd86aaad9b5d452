"""The command tree: what is there, what every command takes, and that the overview costs nothing."""

from __future__ import annotations

import re
import subprocess
import sys

import click
import pytest

from mcp_packager.cli.root import COMMANDS, root
from tests.cli.process import run

HEAVY = ("boto3", "cookiecutter", "docker", "jinja2", "kubernetes", "mcp", "pydantic", "rich", "tomlkit", "requests")
PROMISED = {
    *("new", "lock", "check", "build", "test", "plan", "deploy", "run", "invoke", "status", "logs", "history", "drift"),
    *("rollback", "destroy", "unlock", "client-config", "secrets", "schema", "targets", "doctor"),
}


def leaves() -> list[tuple[str, click.Command]]:
    """Every command that does something, by what one types."""
    found: list[tuple[str, click.Command]] = []
    waiting: list[tuple[tuple[str, ...], click.Command]] = [((name,), command_of(name)) for name in COMMANDS]
    while waiting:
        path, command = waiting.pop(0)
        if isinstance(command, click.Group):
            waiting += [((*path, name), inner) for name, inner in command.commands.items()]
        if not isinstance(command, click.Group) or command.invoke_without_command:
            found.append((" ".join(path), command))
    return found


def command_of(name: str) -> click.Command:
    command = root.get_command(click.Context(root), name)
    assert command is not None
    return command


LEAVES = leaves()


def test_every_promised_command_is_there() -> None:
    assert set(COMMANDS) >= PROMISED


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[path for path, _ in LEAVES])
def test_every_command_takes_what_every_command_takes(path: str, command: click.Command) -> None:
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--project", "--stage", "--quiet"} <= options
    assert ("--json" in options) == (path != "run")
    targets = [parameter for parameter in command.params if "--target" in parameter.opts]
    assert all(parameter.multiple for parameter in targets if isinstance(parameter, click.Option))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_the_name_of_its_entry(name: str) -> None:
    assert command_of(name).name == name


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[path for path, _ in LEAVES])
def test_every_option_is_explained(path: str, command: click.Command) -> None:
    assert command.help
    unexplained = [p.name for p in command.params if isinstance(p, click.Option) and not p.help and not p.hidden]
    assert [name for name in unexplained if name != "help"] == []


def test_no_help_loads_a_heavy_library() -> None:
    paths = [path.split() for path, _ in LEAVES]
    code = (
        "import sys\nfrom mcp_packager.cli.main import run\n"
        f"for path in [[]] + {paths!r}:\n    assert run([*path, '--help']) == 0, path\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_overview_imports_no_command() -> None:
    code = (
        "import sys\nfrom mcp_packager.cli.main import run\nrun(['--help'])\n"
        "print([n for n in sys.modules if n.startswith('mcp_packager')], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(re.findall(r"'([^']+)'", done.stderr)) == {
        "mcp_packager",
        "mcp_packager.cli",
        "mcp_packager.cli.main",
        "mcp_packager.cli.root",
        "mcp_packager.cli.streams",
    }


def test_the_overview_names_every_command() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    for name in COMMANDS:
        assert re.search(rf"^  {name}\s+\S", done.stdout, re.MULTILINE), name


def test_version() -> None:
    from mcp_packager import __version__

    assert run("--version").stdout == f"mcp-pack {__version__}\n"


def test_no_command_at_all_shows_the_overview_and_is_a_usage_error() -> None:
    done = run()
    assert done.returncode == 2
    assert done.stdout == ""
    assert "deploy" in done.stderr

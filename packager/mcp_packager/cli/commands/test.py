"""``mcp-pack test``."""

from __future__ import annotations

import click

from mcp_packager.cli import output
from mcp_packager.cli.options import Common, common_options
from mcp_packager.cli.progress import Shown

_NO_TESTS = 5
"""pytest's exit code for having collected nothing
(https://docs.pytest.org/en/stable/reference/exit-codes.html)."""
_OURS = {0: 0, 1: 1, 2: 130, 3: 3, 4: 2}
"""pytest's exit code to this program's."""


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- PYTEST ARGUMENTS]")
@common_options(targets=True, locked=True, contract=True)
def test(common: Common, *, arguments: tuple[str, ...]) -> None:
    """Run the project's tests against the built artifact.

    The tests see what the artifact holds, not the environment you work in. What follows `--` goes to pytest.
    """
    from mcp_packager.errors import Problem, UserError
    from mcp_packager.pipeline.test import test as examine

    with Shown(quiet=common.quiet) as progress:
        code = examine(common.request(progress), arguments=arguments)
    if common.as_json:
        output.document("test", passed=code == 0, pytest_exit_code=code)
    if code == _NO_TESTS:
        raise UserError(
            Problem(
                "the project has no tests to run", "add a file `tests/test_….py`, or check the arguments after `--`"
            )
        )
    raise click.exceptions.Exit(_OURS.get(code, 1))

"""Where ``mcp-pack`` starts, and the one place that turns what happened into an exit code.

Exit codes: 0 done, 1 the user's problem, 2 the command line is wrong, 3 the world's problem (or a
fault of mcp-pack itself), 4 changes are due (``plan --exit-code``, ``drift``), 130 interrupted, 143 ended by SIGTERM.
For ``run``, whose servers end that way and no other, either is 0 once it serves.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import NoReturn

from mcp_packager.cli.streams import ReaderGoneError

PROGRAM = "mcp-pack"
COMPLETION_VARIABLE = "_MCP_PACK_COMPLETE"
INTERRUPTED = 130
TERMINATED = 143
FAULT = 3

_CYCLES = 20_000
"""Objects between two looks for cycles: at Python's 700, a tenth of a short command goes into finding none."""


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    gc.set_threshold(_CYCLES)
    # As with Ctrl-C, what is under way is left orderly: a lock is let go, children end.
    signal.signal(signal.SIGTERM, _terminated)
    _leave(run(sys.argv[1:]))


def _leave(code: int) -> NoReturn:
    """End the process as the interpreter does, but for taking down all that was imported, which is for nobody.

    That takes as long as a tenth of a short command.
    """
    # The interpreter's own first steps, which have no public names: threads and pools are waited for, and whoever
    # asked to be called at the end is called.
    shutdown: Callable[[], None] = vars(threading)["_shutdown"]
    shutdown()
    atexit._run_exitfuncs()  # noqa: SLF001 - see above
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or never open
            stream.flush()
    os._exit(code)


def _terminated(*_: object) -> None:
    from mcp_packager.errors import TerminatedError

    # A second one ends us at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise TerminatedError


def run(arguments: Sequence[str]) -> int:
    """Run ``arguments`` (without the program's name) and return the exit code. Never raises."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _guarded(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt as stop:
        _say_interrupted(arguments)
        return TERMINATED if type(stop) is not KeyboardInterrupt else INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return 0
    return code


def _say_interrupted(arguments: Sequence[str]) -> None:
    """Where work on a target was cut short, what that means; elsewhere nothing needs to be said."""
    if {"deploy", "rollback", "destroy"} & set(arguments[:1]):
        with contextlib.suppress(OSError):
            print(  # noqa: T201 - click may not have been loaded yet
                "Interrupted. Clients have what they had, or the new release already: `mcp-pack status` says which; "
                "the same command again finishes the work.",
                file=sys.stderr,
            )


def _guarded(arguments: Sequence[str]) -> int:
    try:
        return _dispatch(arguments)
    except (ReaderGoneError, BrokenPipeError):
        # Whoever read our output (`| head`) has seen enough: that is no failure. A command's own broken pipes
        # come as ServicePipeError, so a bare one is from click's printing of --help.
        _forget_stdout()
        return 0
    except Exception as error:  # noqa: BLE001 - the last net: every other exception becomes a record
        from mcp_packager.cli.crash import report
        from mcp_packager.cli.problems import show
        from mcp_packager.errors import PackError, no_room

        if isinstance(error, OSError):
            error = no_room(error) or error
        if isinstance(error, PackError):
            show(error.problems, exit_code=error.exit_code, as_json="--json" in arguments)
            return error.exit_code
        report(error, arguments)
        return FAULT


def _dispatch(arguments: Sequence[str]) -> int:
    import click

    from mcp_packager.cli.root import root

    if instruction := os.environ.get(COMPLETION_VARIABLE):
        from click.shell_completion import shell_complete

        return shell_complete(root, {}, PROGRAM, COMPLETION_VARIABLE, instruction)
    try:
        # Not `root.main()`: it swallows every broken pipe as exit 1, also that of a socket deep in a service.
        with root.make_context(PROGRAM, list(arguments)) as context:
            root.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        return _usage(error, as_json="--json" in arguments)
    return 0


def _usage(error: Exception, *, as_json: bool) -> int:
    import click

    from mcp_packager.cli.problems import show
    from mcp_packager.errors import Problem

    context = error.ctx if isinstance(error, click.UsageError) else None
    message = error.format_message() if isinstance(error, click.ClickException) else str(error)
    command = context.command_path if context is not None else PROGRAM
    problem = Problem(message.rstrip("."), f"type `{command} --help` to see what it takes")
    show((problem,), exit_code=2, as_json=as_json)
    return 2


def _forget_stdout() -> None:
    """Point standard output at nothing, so that the interpreter's last flush does not fail aloud."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        # Standard output is no real file (a test's buffer, or closed): nothing will be flushed to it.
        pass
    finally:
        os.close(null)

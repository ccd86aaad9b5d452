"""What AWS's own runtime for Python calls: `handler(event, context)`, made while this module is imported.

A start that fails says so in one line of the log, and to whoever invoked the function, and ends the process, so that
nothing of AWS's runtime stands between that line and its reader.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import Any, NoReturn, Protocol

from mcp_tool.serve import start
from mcp_tool.serve.aws.function import Function
from mcp_tool.serve.problem import StartProblem

SNAPSHOT = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"
"""Whether the process is kept as a snapshot once it is loaded, and every environment begins as a copy of it."""


class Context(Protocol):
    """What Lambda says of an invocation; as much of it as is needed."""

    aws_request_id: str


def made(bundle: Path) -> Function:
    """The function of a bundle, ready for events; in a snapshot, ready when a copy of it wakes up.

    Does not return where the start fails.
    """
    try:
        function = Function(bundle)
        function.load(everything=SNAPSHOT)
        if SNAPSHOT:
            # Lambda developer guide, "Lambda SnapStart runtime hooks": the module is a part of AWS's runtime.
            hooks = importlib.import_module("snapshot_restore_py")
            hooks.register_after_restore(lambda: _restored(function))
        else:
            function.begin()
    except Exception as error:  # noqa: BLE001 - the author's own start may raise anything
        end(start.problem_of(error))
    return function


def _restored(function: Function) -> None:
    """Begin in a copy. A failure is reported by AWS's runtime, to whom it has to be raised."""
    try:
        function.begin(restored=True)
    except Exception as error:  # noqa: BLE001 - the same
        problem = start.problem_of(error)
        problem.report()
        raise problem from None


def end(problem: StartProblem) -> NoReturn:
    """Say what is wrong, to the log and to Lambda, and end the process."""
    problem.report()
    from mcp_tool.serve.aws import failing

    failing.initialisation(problem)
    sys.stdout.flush()
    os._exit(1)


class Handler:
    """Answers events, in one piece each."""

    def __init__(self, bundle: Path) -> None:
        self._function = made(bundle)

    def __call__(self, event: Any, context: Context) -> dict[str, Any]:
        """The answer, in the form that the event wants.

        Raises:
            UnknownEventError: The event is no HTTP request.
        """
        function = self._function
        return function.run(function.answer(function.asked(event), context.aws_request_id))

"""Functions as plain processes: the built files and nothing else, in an interpreter of this machine."""

from __future__ import annotations

import contextlib
import json
import platform
import queue
import subprocess
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mcp_packager.errors import UserError
from mcp_packager.interpreters import find
from mcp_packager.testing.aws import bootstrap
from mcp_packager.testing.aws.refusals import invalid
from mcp_packager.testing.aws.running import CutError, Invoked, Streamed
from mcp_packager.testing.aws.runtime_api import END_OF_HEAD, WAIT, Posted, RuntimeApi, serving
from mcp_packager.testing.aws.state import Version

MACHINES: Final[Mapping[str, str]] = {"x86_64": "x86_64", "aarch64": "arm64"}
"""What Lambda calls a machine's processor; any other is an ARM with another name."""
_WRAPPER: Final = "AWS_LAMBDA_EXEC_WRAPPER"
_TASK: Final = "/var/task"
_LOOK: Final = 0.05
"""Seconds between two looks at whether the process is still there."""


def architecture() -> str:
    """This machine's processor, as Lambda calls it."""
    return MACHINES.get(platform.machine(), "arm64")


@contextlib.contextmanager
def started(
    version: Version, log: Path, around: Mapping[str, str], *, python: Path | None = None
) -> Iterator[_Process]:
    """Run a version until the block ends; a function that streams starts by its own wrapper script, as in Lambda.

    Args:
        version: What to run.
        log: Where its output goes.
        around: Variables that Lambda would set.
        python: The interpreter; by default one of the function's version, where this machine has one.

    Raises:
        RefusedError: it is an image, is made for another processor, or there is no such interpreter.
    """
    interpreter = python or _interpreter(version)
    task = version.code.folder
    with serving() as api, log.open("wb") as out:
        wrapper = around.get(_WRAPPER, "").replace(_TASK, task, 1)
        line = [str(interpreter), "-B", "-S", bootstrap.__file__, version.settings["Handler"]]
        said = {"PATH": "/usr/bin:/bin", "TZ": ":UTC", "LAMBDA_TASK_ROOT": task, "AWS_LAMBDA_RUNTIME_API": api.place}
        process = subprocess.Popen(
            [wrapper, *line] if wrapper else line,
            cwd=task,
            env={**said, **around},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
        try:
            yield _Process(api, process)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()


def _interpreter(version: Version) -> Path:
    if version.code.image:
        raise invalid("images are not run here: test the function as a zip")
    (made_for,) = version.settings["Architectures"]
    if made_for != architecture():
        raise invalid(f"this machine is {architecture()} and cannot run a function for {made_for}")
    minor = version.settings["Runtime"].removeprefix("python")
    try:
        return find(f"=={minor}.*").path
    except UserError:
        raise invalid(f"this machine has no Python {minor} to run the function with") from None


@dataclass(frozen=True)
class _Process:
    """An environment. Implements :class:`mcp_packager.testing.aws.running.Running`."""

    api: RuntimeApi
    process: subprocess.Popen[bytes]

    def invoke(self, event: Any) -> Invoked | Streamed:
        """Invoke it with an event."""
        self.api.hand_out(event)
        for _ in range(int(WAIT / _LOOK)):
            gone = self.process.poll() is not None
            try:
                return _read(self.api.begun(_LOOK))
            except queue.Empty:
                if gone:
                    return _failed("Runtime.ExitError", f"the process ended with {self.process.returncode}")
        return _failed("Sandbox.Timedout", f"Task timed out after {WAIT:.2f} seconds")


def _failed(kind: str, message: str) -> Invoked:
    return Invoked({"errorType": kind, "errorMessage": message}, failed=True)


def _read(posted: Posted) -> Invoked | Streamed:
    pieces = posted.pieces()
    if not posted.is_stream:
        text = b"".join(pieces)
        if not posted.whole:
            return _failed("Runtime.ExitError", "the process ended while it answered")
        return Invoked(json.loads(text), failed=posted.path.endswith("/error"))
    head = b""
    for piece in pieces:
        head += piece
        if END_OF_HEAD in head:
            break
    begun, _, rest = head.partition(END_OF_HEAD)
    return Streamed(json.loads(begun), _body(posted, rest, pieces))


def _body(posted: Posted, rest: bytes, pieces: Iterator[bytes]) -> Generator[bytes]:
    if rest:
        yield rest
    yield from pieces
    if posted.trailers or not posted.whole:
        raise CutError(posted.trailers.get("lambda-runtime-function-error-type", "Runtime.ExitError"))

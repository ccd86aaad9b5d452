"""Running other programs: the one seam. Arguments only, never a shell; a time limit; no secret in an error."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcp_packager.errors import Problem, WorldError

_USERINFO = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<who>[^/\s@'\"`]+)@", re.IGNORECASE)
_BEARER = re.compile(r"(?i)\b(authorization\s*:\s*)(basic|bearer)\s+\S+")
_SHORTEST_SECRET = 4
"""Shorter values are left alone: replacing every ``a`` in a message helps nobody."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ended. ``stdout`` is raw, ``stderr`` is text with secrets taken out."""

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: str

    @property
    def ok(self) -> bool:
        """Whether it ended with 0."""
        return self.code == 0

    def text(self) -> str:
        """Standard output as text; undecodable bytes are replaced."""
        return self.stdout.decode("utf-8", "replace")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Take ``user:password@`` out of addresses, authorization headers, and every value of ``secrets``."""
    for secret in sorted({value for value in secrets if len(value) >= _SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(secret, "****")
    text = _BEARER.sub(r"\1\2 ****", text)
    return _USERINFO.sub(r"\g<scheme>****@", text)


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout: float = 600.0,
    secrets: Iterable[str] = (),
) -> Finished:
    """Run a program to its end and keep what it printed.

    Args:
        argv: program and arguments; never seen by a shell.
        cwd: folder to start in; the current one by default.
        env: the whole environment; inherited by default.
        stdin: bytes to feed; nothing (an empty file) by default.
        timeout: seconds after which the program and its children are killed.
        secrets: values that must not show in ``stderr`` or in an error.

    Raises:
        WorldError: the program is missing, cannot be started, or ran out of time.
    """
    command = tuple(os.fspath(part) for part in argv)
    hidden = tuple(secrets)
    try:
        child = subprocess.Popen(
            command,
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise WorldError(
            Problem(
                what=f"{command[0]} could not be started: {error.strerror or error}",
                fix=f"Install {Path(command[0]).name} or put it on PATH",
            )
        ) from error
    try:
        out, err = child.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        _end(child)
        raise WorldError(
            Problem(
                what=f"{redact(' '.join(command[:3]), hidden)} … did not end within {timeout:g} s",
                fix="Try again; if it stays so, run the same command by hand to see what it waits for",
            )
        ) from error
    except BaseException:
        _end(child)
        raise
    return Finished(command, child.returncode, out, redact(err.decode("utf-8", "replace"), hidden))


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill the child and what it started, and reap it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.communicate(timeout=5)

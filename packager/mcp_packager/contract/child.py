"""A child process that runs somebody else's code: bounded in time and output, gone with all it started.

Its output is read until it ends, not until the pipe closes: a forked grandchild that keeps the pipe open delays
nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_KEPT: Final = 64 << 10
"""Bytes of output that are kept: the last ones."""

_LOOK: Final = 0.05
"""Seconds between two looks at whether it has ended, while it prints nothing."""

_FAREWELL: Final = 0.5
"""Seconds to end in after the answer is written."""

_LAST_WORDS: Final = 1.0
"""Seconds for the dump of a hanging program's stack."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended. ``code`` is negative for a signal; ``late`` means it was killed past its limit."""

    code: int
    output: str
    late: bool


class StoppedError(Exception):
    """Nobody wants the answer any more; the child is gone."""


def never() -> bool:
    """Somebody always wants the answer."""
    return False


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    limit: float,
    answer: Path,
    unwanted: Callable[[], bool] = never,
) -> Ended:
    """Run a program in a session of its own, without input, for at most ``limit`` seconds.

    Once the file ``answer`` is there the program has little time left: its work is done, and a thread that somebody
    left running is nobody's concern.

    A program past its limit gets SIGABRT first, so that Python's fault handler says where it hangs, then SIGKILL,
    with every process of its group. So it does, without the first, once ``unwanted`` says yes. Its group also ends
    when this process does, in whatever way.

    Raises:
        OSError: the program cannot be started.
        StoppedError: its answer is unwanted.
    """
    child, lifeline = _start(argv, env, cwd)
    stream = child.stdout
    if stream is None:
        raise OSError("no pipe")
    try:
        _no_core(child.pid)
        os.set_blocking(stream.fileno(), False)
        kept = bytearray()
        late = not _until_end(child, stream, kept, time.monotonic() + limit, answer, unwanted)
        if late:
            _signal(child, signal.SIGABRT)
            _until_end(child, stream, kept, time.monotonic() + _LAST_WORDS, answer, unwanted)
    finally:
        # A number stays a group's while one process of the group lives; without one there is nothing to kill.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        os.close(lifeline)
        with stream:
            pass
    return Ended(child.returncode, kept.decode("utf-8", "replace"), late)


def _start(argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> tuple[subprocess.Popen[bytes], int]:
    """The child, and what keeps it alive while it is open: the writing end of a pipe.

    Raises:
        OSError: the program cannot be started.
    """
    theirs, ours = os.pipe()
    try:
        child = subprocess.Popen(
            argv,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
            pass_fds=(theirs,),
        )
        _end_with_us(child.pid, theirs)
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return child, ours


def _until_end(
    child: subprocess.Popen[bytes],
    stream: IO[bytes],
    kept: bytearray,
    deadline: float,
    answer: Path,
    unwanted: Callable[[], bool],
) -> bool:
    """Collect output until the child ends or has answered; false where the deadline came first.

    Raises:
        StoppedError: its answer is unwanted.
    """
    is_open, answered, after = True, False, 0
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            ended = child.poll() is not None
            left = deadline - time.monotonic()
            if unwanted():
                raise StoppedError
            if not ended and left <= 0:
                return answered
            if not answered and answer.exists():
                answered = True
                deadline = min(deadline, time.monotonic() + _FAREWELL)
            chunk = b""
            if is_open and selector.select(0 if ended else min(_LOOK, left)):
                chunk = stream.read(1 << 16) or b""
                is_open = bool(chunk)
                kept.extend(chunk)
                del kept[:-_KEPT]
            elif not is_open and not ended:
                # It closed its output and goes on.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(min(_LOOK, left))
            after += len(chunk) if ended else 0
            if ended and (not chunk or after > _KEPT):
                return True


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(child.pid, number)


def _end_with_us(group: int, end: int) -> None:
    """Have the system send SIGIO, which ends whoever does not ask for it, to a group once this process is gone.

    ``end`` is the reading end of a pipe that the group inherits and nobody writes to: it is told when the other end,
    which is this process's alone, closes. Nobody has to look, so a program that hangs is ended too.
    """
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: a system without O_ASYNC
        fcntl.fcntl(end, fcntl.F_SETOWN, -group)
        fcntl.fcntl(end, fcntl.F_SETFL, fcntl.fcntl(end, fcntl.F_GETFL) | os.O_ASYNC)


def _no_core(pid: int) -> None:
    """A crash leaves no core file, where the system can be told so from outside."""
    with contextlib.suppress(ImportError, AttributeError, OSError, ValueError):
        import resource  # not everywhere

        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))

"""Execution environments: each version's real files, running as often as requests come at a time."""

from __future__ import annotations

import base64
import contextlib
import itertools
import shutil
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_packager.testing.aws.running import CutError, Invoked, Running, Start, Streamed
from mcp_packager.testing.aws.state import Function, Version

MOST = 2
"""Environments of one version: the machine that the tests run on has few processors, and more would only wait."""


@dataclass
class _Environment:
    running: Running
    closing: contextlib.ExitStack
    log: Path
    stream: str
    read: int = 0


@dataclass
class _Pool:
    """The environments of one state of a version. A semaphore bounds them; those in ``idle`` are warm."""

    room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MOST))
    idle: list[_Environment] = field(default_factory=list)


class Environments:
    """All of them.

    Args:
        folder: For their logs and their own ``/tmp``.
        around: Variables that each of them has, beside the function's own.
        logged: Told of every line: the group, the stream, the line.
        start: Starts one of them.
    """

    def __init__(
        self, folder: Path, around: Mapping[str, str], logged: Callable[[str, str, str], None], start: Start
    ) -> None:
        self._folder = folder
        self._around = dict(around)
        self._logged = logged
        self._start = start
        self._pools: dict[tuple[str, str, str], _Pool] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count()

    def invoke(self, function: Function, version: Version, event: Any) -> tuple[Invoked, list[str]]:
        """Invoke a version in an environment that is warm, or in a new one: what came of it, and what it logged.

        A streamed answer is waited for and put together (where Lambda would answer its bytes as they stand).
        """
        answer, lines = self.stream(function, version, event)
        return (answer, lines) if isinstance(answer, Invoked) else (_whole(answer), lines)

    def stream(self, function: Function, version: Version, event: Any) -> tuple[Invoked | Streamed, list[str]]:
        """The same, with a streamed answer on its way: its environment is busy until its pieces are read."""
        key = (function.arn, version.number, version.revision)
        with self._lock:
            pool = self._pools.setdefault(key, _Pool())
        with contextlib.ExitStack() as held:
            held.enter_context(pool.room)
            with self._lock:
                environment = pool.idle.pop() if pool.idle else None
            environment = environment or self._started(function, version)
            try:
                answer = environment.running.invoke(event)
            except BaseException:
                environment.closing.close()
                raise
            if isinstance(answer, Streamed):
                pieces = _held(
                    answer.pieces, held.pop_all(), lambda is_cut: self._back(key, version, environment, broken=is_cut)
                )
                next(pieces)
                return Streamed(answer.head, pieces), []
            broken = answer.failed and str(answer.document.get("errorType", "")).startswith(_BROKEN)
            return answer, self._back(key, version, environment, broken=broken)

    def _back(
        self, key: tuple[str, str, str], version: Version, environment: _Environment, *, broken: bool
    ) -> list[str]:
        """Keep an environment warm that can be used again, and answer what it logged."""
        if broken:
            environment.closing.close()  # what it said last is in its log only then
        lines = self._tell(version, environment)
        with self._lock:
            if not broken and key in self._pools:
                self._pools[key].idle.append(environment)
                return lines
        environment.closing.close()
        return lines

    def forget(self, function: Function, keep: Mapping[str, str]) -> None:
        """End what no version runs in any more; ``keep`` has each version's revision by number."""
        with self._lock:
            gone = [key for key in self._pools if key[0] == function.arn and keep.get(key[1]) != key[2]]
            ended = [one for key in gone for one in self._pools.pop(key).idle]
        for environment in ended:
            environment.closing.close()

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            ended = [one for pool in self._pools.values() for one in pool.idle]
            self._pools.clear()
        for environment in ended:
            environment.closing.close()

    def _started(self, function: Function, version: Version) -> _Environment:
        number = next(self._numbers)
        settings = version.settings
        name = f"{function.name}-{number}"
        log, own = self._folder / f"{name}.log", self._folder / f"{name}-tmp"
        own.mkdir()
        around = {
            **self._around,
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": version.number,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings["MemorySize"]),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(settings["Timeout"]),
            "AWS_LAMBDA_LOG_FORMAT": settings["LoggingConfig"]["LogFormat"],
            "TMPDIR": str(own),
            **settings["Environment"]["Variables"],
        }
        closing = contextlib.ExitStack()
        closing.callback(shutil.rmtree, own, ignore_errors=True)
        running = closing.enter_context(self._start(version, log, around))
        return _Environment(running, closing, log, f"[{version.number}]{number:032x}")

    def _tell(self, version: Version, environment: _Environment) -> list[str]:
        with environment.log.open("rb") as file:
            file.seek(environment.read)
            text = file.read()
        whole, mark, _ = text.rpartition(b"\n")
        environment.read += len(whole) + len(mark)
        group = version.settings["LoggingConfig"]["LogGroup"]
        lines = [line for line in whole.decode("utf-8", "replace").splitlines() if _OWN_LINES not in line]
        for line in lines:
            self._logged(group, environment.stream, line)
        return lines


_OWN_LINES = " (rapid) "
"""In what AWS's emulator says of itself, which no log of Lambda has."""
_BROKEN = ("Runtime.", "Sandbox.")
"""How the names of errors begin after which Lambda uses an environment no longer."""


def _held(pieces: Generator[bytes], held: contextlib.ExitStack, done: Callable[[bool], object]) -> Generator[bytes]:
    """The pieces; once the function has ended its answer, ``done`` is told whether it was cut short.

    The function ends it also where the reader goes away. The first ``next`` only makes it so.
    """
    is_cut = True
    with held:
        try:
            yield b""
            for piece in pieces:  # noqa: UP028 - `yield from` would end them too where their reader goes away
                yield piece
            is_cut = False
        except GeneratorExit:
            is_cut = _is_cut(pieces)
            raise
        finally:
            done(is_cut)


def _is_cut(rest: Iterator[bytes]) -> bool:
    try:
        for _ in rest:
            pass
    except CutError:
        return True
    return False


def _whole(answer: Streamed) -> Invoked:
    try:
        body = b"".join(answer.pieces)
    except CutError as error:
        return Invoked({"errorType": str(error), "errorMessage": "the answer ended before it was whole"}, failed=True)
    return Invoked({**answer.head, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}, failed=False)

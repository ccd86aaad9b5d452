"""Execution environments: each version's real files, in AWS's own emulator under AWS's own runtime for Python."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import real_parts
from tests.lambda_ import imaged
from tests.lambda_.emulator import Emulated, Invoked, emulated, started
from tests.lambda_.fake.state import Function, Version

MOST = 2
"""Environments of one version: the machine that the tests run on has few processors, and more would only wait."""


@dataclass
class _Environment:
    running: Emulated
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
    """

    def __init__(self, folder: Path, around: Mapping[str, str], logged: Callable[[str, str, str], None]) -> None:
        self._folder = folder
        self._around = dict(around)
        self._logged = logged
        self._pools: dict[tuple[str, str, str], _Pool] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._images: dict[str, imaged.Unpacked] = {}

    def invoke(self, function: Function, version: Version, event: Any) -> tuple[Invoked, list[str]]:
        """Invoke a version in an environment that is warm, or in a new one: what came of it, and what it logged."""
        key = (function.arn, version.number, version.revision)
        with self._lock:
            pool = self._pools.setdefault(key, _Pool())
        with pool.room:
            with self._lock:
                environment = pool.idle.pop() if pool.idle else None
            environment = environment or self._started(function, version)
            try:
                answer = environment.running.invoke(event)
            except BaseException:
                environment.closing.close()
                raise
            broken = answer.failed and str(answer.document.get("errorType", "")).startswith("Runtime.")
            if broken:
                environment.closing.close()  # what it said last is in its log only then
            lines = self._tell(version, environment)
            with self._lock:
                if not broken and key in self._pools:
                    pool.idle.append(environment)
                    return answer, lines
            environment.closing.close()
            return answer, lines

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
            **{key: value for key, value in settings["Environment"]["Variables"].items() if key != _WRAPPER},
        }
        closing = contextlib.ExitStack()
        closing.callback(shutil.rmtree, own, ignore_errors=True)
        running = closing.enter_context(self._runtime(version, log, around))
        return _Environment(running, closing, log, f"[{version.number}]{number:032x}")

    def _runtime(
        self, version: Version, log: Path, around: Mapping[str, str]
    ) -> contextlib.AbstractContextManager[Emulated]:
        """AWS's runtime for Python about a zip; an image's own program."""
        root = real_parts.lambda_emulator()
        if not version.code.image:
            minor = version.settings["Runtime"].removeprefix("python")
            return emulated(root, Path(version.code.folder), real_parts.python(minor), minor, log, around)
        with self._lock:
            files = self._images.get(version.code.image)
            if files is None:
                files = imaged.fetched(version.code.image, self._folder / f"image-{len(self._images)}")
                self._images[version.code.image] = files
        own = {name: value for name, value in around.items() if name != "TMPDIR"}
        return started(root, files.command(version.settings["ImageConfig"]), self._folder, log, {**files.env, **own})

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
"""In what the emulator says of itself, which no log of Lambda has."""
_WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"
"""The emulator knows no wrapper scripts and buffers answers: there the function answers in one piece."""

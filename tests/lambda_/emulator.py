"""AWS's own emulator of Lambda and its runtime for Python, installed once into the cache and started on loopback.

The emulator is a program inside the package `aws-sam-cli`, the runtime the package `awslambdaric`, of which every
Python needs its own build. Standard library only, but for what the tests start with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mcp_packager.testing.aws.running import Invoked
from tests.lambda_ import ports

EMULATOR = "aws-sam-cli==1.170.0"
RUNTIME = "awslambdaric==4.2.2"
MINORS = ("3.11", "3.12", "3.13", "3.14")
START = 60.0
"""Seconds that a first answer may take on a busy machine."""

_SAID: Mapping[str, str] = MappingProxyType(
    {
        "AWS_REGION": "eu-central-1",
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "AWS_LAMBDA_FUNCTION_VERSION": "7",
        "TZ": ":UTC",
    }
)
_MACHINES: Mapping[str, str] = MappingProxyType({"x86_64": "x86_64", "aarch64": "arm64"})
_PATH = "/2015-03-31/functions/function/invocations"


def installed(cache: Path) -> Path | None:
    """The folder with `rie` and one folder of the runtime for each Python; ``None`` where it is not installed."""
    folder = _folder(cache)
    return folder if (folder / "complete").is_file() else None


def can_install() -> bool:
    """Whether the emulator is there for this machine, and a uv beside this Python."""
    return sys.platform == "linux" and platform.machine() in _MACHINES and _uv().is_file()


def install(cache: Path) -> None:
    """Install both into the cache.

    Raises:
        subprocess.CalledProcessError: uv failed; its own words are on stderr.
    """
    folder = _folder(cache)
    shutil.rmtree(folder, ignore_errors=True)
    _into(folder / "sam", EMULATOR, ["--no-deps"])
    program = folder / "sam" / "samcli" / "local" / "rapid" / f"aws-lambda-rie-{_MACHINES[platform.machine()]}"
    shutil.copyfile(program, folder / "rie")
    (folder / "rie").chmod(0o755)
    shutil.rmtree(folder / "sam")
    for minor in MINORS:
        system = f"{platform.machine()}-manylinux_2_34"
        _into(folder / minor, RUNTIME, ["--python-version", minor, "--python-platform", system])
    (folder / "complete").touch()


def _into(folder: Path, package: str, flags: Sequence[str]) -> None:
    line = [_uv(), "pip", "install", "--quiet", "--only-binary", ":all:", "--target", folder, *flags, package]
    subprocess.run([*map(str, line), "--python", sys.executable], check=True)


def _folder(cache: Path) -> Path:
    key = hashlib.sha256(f"{EMULATOR} {RUNTIME} {MINORS} {platform.machine()}".encode()).hexdigest()[:16]
    return cache / f"lambda-{key}"


def _uv() -> Path:
    return Path(sys.executable).with_name("uv")


@dataclass(frozen=True)
class Emulated:
    """A function in the emulator."""

    port: int
    log: Path

    def invoke(self, event: Any) -> Invoked:
        """Invoke it with an event."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START)
        try:
            connection.request("POST", _PATH, json.dumps(event))
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        document = json.loads(text) if text else None
        failed = isinstance(document, dict) and "errorMessage" in document
        return Invoked(document, failed)

    def lines(self) -> list[dict[str, Any]]:
        """What the function logged so far, as far as it is JSON."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@contextlib.contextmanager
def emulated(
    root: Path, task: Path, python: Path, minor: str, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[Emulated]:
    """Run a function until the block ends.

    Args:
        root: What :func:`installed` answered.
        task: The function's files.
        python: Runs it, with AWS's runtime for Python.
        minor: Its minor version.
        log: Where it logs to.
        env: Its environment, beside what Lambda says there.
    """
    around = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(root / minor), "LAMBDA_TASK_ROOT": str(task)}
    runtime = [str(python), "-B", "-c", _RUNTIME.format(task=str(task)), "mcp_handler.handler"]
    with started(root, runtime, task, log, {**around, **(env or {})}) as function:
        yield function


@contextlib.contextmanager
def started(
    root: Path, runtime: Sequence[str | Path], folder: Path, log: Path, env: Mapping[str, str]
) -> Iterator[Emulated]:
    """Run any program that speaks the Runtime API until the block ends.

    Args:
        root: What :func:`installed` answered.
        runtime: The program and its arguments.
        folder: Where it starts.
        log: Where it logs to.
        env: Its environment, beside what Lambda says there of every function.
    """
    with ports.two() as (front, api), log.open("wb") as out:
        places = (
            *("--runtime-interface-emulator-address", f"127.0.0.1:{front}"),
            *("--runtime-api-address", f"127.0.0.1:{api}"),
        )
        process = subprocess.Popen(
            [root / "rie", *places, *runtime], cwd=folder, env={**_SAID, **env}, stdout=out, stderr=out
        )
        try:
            _await(front, process, log)
            yield Emulated(front, log)
        finally:
            process.terminate()
            process.wait(10)


# AWS's bootstrap has the function's folder first on the path, the runtime's own behind it.
_RUNTIME = """
import runpy, sys
sys.path.insert(0, {task!r})
runpy.run_module('awslambdaric', run_name='__main__', alter_sys=True)
"""


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as probe:
            probe.connect()
            return
        time.sleep(0.02)
    raise AssertionError(f"the emulator does not listen: {log.read_text(errors='replace')[-2000:]}")

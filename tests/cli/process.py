"""mcp-pack as a whole process: with pipes, with a closed pipe, or on a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

START = "from mcp_packager.cli.main import main; main()"
PATIENCE = 120.0
"""Seconds until a child that does not end is a failure."""


def command(arguments: Sequence[str], *, first: str = "") -> list[str]:
    """The child's command. ``first`` is Python that runs in it before mcp-pack starts."""
    return [sys.executable, "-c", f"{first}\n{START}", *arguments]


def run(
    *arguments: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    first: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run it to its end with pipes on all sides."""
    return subprocess.run(
        command(arguments, first=first),
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@dataclass
class Terminal:
    """A child on a terminal: what it has printed so far, and a way to type."""

    process: subprocess.Popen[bytes]
    master: int
    seen: str = ""

    def read_until(self, wanted: str) -> str:
        """Everything printed up to and including ``wanted``."""
        deadline = time.monotonic() + PATIENCE
        while wanted not in self.seen:
            if not self._more(deadline):
                raise AssertionError(f"{wanted!r} was not printed:\n{self.seen}")
        return self.seen

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self.master, text.encode())

    def end(self) -> int:
        """Read to the end and give the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._more(deadline):
            pass
        return self.process.wait(PATIENCE)

    def _more(self, deadline: float) -> bool:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.master], [], [], left)[0]:
            raise AssertionError(f"nothing more is printed, and it does not end:\n{self.seen}")
        try:
            chunk = os.read(self.master, 65536)
        except OSError:
            return False  # Linux says EIO once the last child has closed the terminal.
        self.seen += chunk.decode(errors="replace")
        return bool(chunk)


@contextlib.contextmanager
def terminal(
    *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, first: str = ""
) -> Iterator[Terminal]:
    """Run it with a terminal as standard input, output and error."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        command(arguments, first=first),
        cwd=cwd,
        env={**environment, **(env or {})},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)
        os.close(master)

"""What the servers of a deployment wrote: the one that is deployed, and those that clients start over stdio."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcp_packager.target import Identity

_FOLLOW: Final = 0.2


def stdio_log(identity: Identity, environ: Mapping[str, str]) -> Path:
    """Where the runtime keeps the log of servers over stdio: those that clients start from the wheel, and our own."""
    from mcp_tool.serve.observe.log_file import stdio_file

    return stdio_file(environ, identity.tool, identity.stage)


def tail(path: Path, lines: int) -> tuple[str, ...]:
    """The last lines of a file; nothing where there is none."""
    try:
        with path.open(encoding="utf-8", errors="replace") as handle:
            return tuple(line.rstrip("\n") for line in deque(handle, maxlen=lines))
    except OSError:
        return ()


def read_logs(paths: Sequence[Path], *, lines: int, follow: bool) -> Iterator[str]:
    """The last lines of some logs, in the order of time, and with ``follow`` what comes, across rotations."""
    logs = [_Log.opened(path) for path in paths]
    found = [entry for log in logs for entry in log.timed(lines, unfinished=not follow)]
    yield from [line for _, line in sorted(found, key=lambda entry: entry[0])][-lines:] if lines else ()
    while follow:
        for log in logs:
            yield from log.news()
        time.sleep(_FOLLOW)


def _time(line: str) -> float | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    moment = document.get("ts") if isinstance(document, dict) else None
    return float(moment) if isinstance(moment, int | float) else None


@dataclass
class _Log:
    """A log that is read as it grows.

    ``inode`` 0 is no file; ``place`` is how far it was read, and ``rest`` the line there that has no end yet.
    """

    path: Path
    inode: int = 0
    place: int = 0
    rest: bytes = b""
    lines: tuple[str, ...] = ()

    @classmethod
    def opened(cls, path: Path) -> _Log:
        """Read to its end as it is now."""
        try:
            with path.open("rb") as handle:
                data = handle.read()
                inode = os.fstat(handle.fileno()).st_ino
        except OSError:
            return cls(path)
        *whole, rest = data.split(b"\n")
        return cls(path, inode, len(data), rest, tuple(line.decode("utf-8", "replace") for line in whole))

    def timed(self, lines: int, *, unfinished: bool) -> Iterator[tuple[float, str]]:
        """The last lines, those of the file before included, each with its time.

        A line that tells no time has that of the line before it; where no line does, that of the file.
        """
        now = (*self.lines, self.rest.decode("utf-8", "replace")) if unfinished and self.rest else self.lines
        if len(now) < lines:
            now = (*tail(self.path.with_name(f"{self.path.name}.1"), lines - len(now)), *now)
        times = [_time(line) for line in now]
        last = next((moment for moment in times if moment is not None), None)
        if last is None:
            last = self.path.stat().st_mtime if self.path.exists() else 0.0
        for line, moment in zip(now, times, strict=True):
            last = last if moment is None else moment
            yield last, line

    def news(self) -> Iterator[str]:
        """The whole lines that came since the last look."""
        try:
            with self.path.open("rb") as handle:
                found = os.fstat(handle.fileno())
                if found.st_ino != self.inode or found.st_size < self.place:
                    self.inode, self.place, self.rest = found.st_ino, 0, b""
                handle.seek(self.place)
                data = handle.read()
        except OSError:  # not there, or put aside this moment
            return
        self.place += len(data)
        *whole, self.rest = (self.rest + data).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in whole)

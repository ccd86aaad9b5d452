"""What the servers of a deployment wrote: the one that is deployed, and those that clients start over stdio."""

from __future__ import annotations

import json
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
    from mcp_tool.serve.log_file import stdio_file

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
    found = [entry for path in paths for entry in _timed(path, lines)]
    yield from [line for _, line in sorted(found, key=lambda entry: entry[0])][-lines:] if lines else ()
    if follow:
        followed = [_Followed.of(path) for path in paths]
        while True:
            for log in followed:
                yield from log.news()
            time.sleep(_FOLLOW)


def _timed(path: Path, lines: int) -> Iterator[tuple[float, str]]:
    """The last lines of a log, those of the file before included, each with its time.

    A line that tells no time has that of the line before it; where no line does, that of the file.
    """
    now = tail(path, lines)
    found = now if len(now) >= lines else (*tail(path.with_name(f"{path.name}.1"), lines - len(now)), *now)
    times = [_time(line) for line in found]
    last = next((moment for moment in times if moment is not None), None)
    if last is None:
        last = path.stat().st_mtime if path.exists() else 0.0
    for line, moment in zip(found, times, strict=True):
        last = last if moment is None else moment
        yield last, line


def _time(line: str) -> float | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    moment = document.get("ts") if isinstance(document, dict) else None
    return float(moment) if isinstance(moment, int | float) else None


@dataclass
class _Followed:
    """A log that is read as it grows. ``inode`` 0 is no file."""

    path: Path
    inode: int
    place: int
    rest: bytes = b""

    @classmethod
    def of(cls, path: Path) -> _Followed:
        """From its end as it is now."""
        return cls(path, *_where(path))

    def news(self) -> Iterator[str]:
        """The whole lines that came since the last look."""
        inode, size = _where(self.path)
        if inode != self.inode or size < self.place:
            self.inode, self.place, self.rest = inode, 0, b""
        if size <= self.place:
            return
        try:
            with self.path.open("rb") as handle:
                handle.seek(self.place)
                data = handle.read()
        except OSError:  # put aside this moment
            return
        self.place += len(data)
        *whole, self.rest = (self.rest + data).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in whole)


def _where(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_ino, found.st_size

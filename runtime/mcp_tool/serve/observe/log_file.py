"""A log file that is put aside when it is full, by any number of processes that write to it at once.

Every line is one `write` to a descriptor opened for appending, which the system keeps whole. Whoever finds the file
full renames it under a lock; the others see at their next line that the name means another file, and follow. No line
is lost and none is copied.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")


def stdio_file(environ: Mapping[str, str], tool: str, stage: str) -> Path:
    """Where servers on stdio log if their config says nothing: nobody configures what a client starts from a wheel.

    Below `MCP_PACK_HOME`, else `$XDG_DATA_HOME/mcp-pack`, else `~/.local/share/mcp-pack`, where `mcp-pack logs` looks.
    """
    if chosen := environ.get("MCP_PACK_HOME"):
        home = Path(chosen).expanduser()
    elif base := environ.get("XDG_DATA_HOME"):
        home = Path(base) / "mcp-pack"
    else:
        home = Path(environ["HOME"] if environ.get("HOME") else Path.home()) / ".local" / "share" / "mcp-pack"
    return home / "stdio" / f"{_NAME.sub('-', tool)}-{_NAME.sub('-', stage)}.log"


class LogFile:
    """The file `path`; full ones are `path.1` (the latest) to `path.<files>`.

    Args:
        path: Its folder is made where it is missing; both are readable by their owner alone.
        size: Bytes at which the file is put aside; 0 never does.
        files: How many are kept beside it.

    Raises:
        OSError: The file cannot be made or opened.
    """

    def __init__(self, path: Path, size: int = 0, files: int = 0) -> None:
        self._path, self._size, self._files = path, size, files
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor, self._inode = self._opened()
        self.failed = 0

    def write(self, line: bytes) -> bool:
        """Append a line; its end is added here. False, and counted as failed, where the system does not take it."""
        data = line + b"\n"
        try:
            self._follow(len(data))
            if os.write(self._descriptor, data) == len(data):
                return True
        except OSError:
            pass
        self.failed += 1
        return False

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        with contextlib.suppress(OSError):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go of the file."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def _opened(self) -> tuple[int, int]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)  # the last is not on Windows
        descriptor = os.open(self._path, flags, 0o600)
        return descriptor, os.fstat(descriptor).st_ino

    def _follow(self, coming: int) -> None:
        """Write where the name points; put the file aside first where it is full."""
        try:
            now = self._path.stat()
        except FileNotFoundError:
            self._reopen()
            return
        if now.st_ino != self._inode:
            self._reopen()
        elif self._size and now.st_size and now.st_size + coming > self._size:
            with _held(self._path.with_name(f".{self._path.name}.lock")) as held:
                # Somebody else puts it aside this moment, or has done so: then one line more does not matter.
                if held and self._path.stat().st_ino == self._inode:
                    self._put_aside()
            self._reopen()

    def _put_aside(self) -> None:
        if not self._files:
            self._path.unlink()
            return
        for number in range(self._files - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._aside(number).replace(self._aside(number + 1))
        self._path.replace(self._aside(1))

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _reopen(self) -> None:
        before = self._descriptor
        self._descriptor, self._inode = self._opened()
        os.close(before)


@contextlib.contextmanager
def _held(lock: Path) -> Iterator[bool]:
    """Hold a lock file while the block runs, if nobody else does; never waits."""
    try:
        import fcntl
    except ImportError:  # Windows, where an open file cannot be renamed anyway
        yield False
        return
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)

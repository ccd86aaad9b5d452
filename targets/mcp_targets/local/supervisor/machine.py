"""What the supervisor does with files, sockets and process numbers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any


def birth(pid: int) -> str | None:
    """What tells a process from a later one with the same number; ``None`` where it is gone."""
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] == "Z" else fields[19]
    shown = subprocess.run(["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip() or None


def exit_words(status: int) -> str:
    """Why a process ended, from its wait status."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exited with code {code}"
    name = signal.Signals(-code).name
    return f"was killed by {name}" + (", perhaps for lack of memory" if name == "SIGKILL" else "")


def write_json(path: Path, document: Any) -> None:
    """Replace a file whole, readable by its owner alone."""
    scratch = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            json.dump(document, handle, indent=1, sort_keys=True)
        scratch.replace(path)
    except OSError:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any] | None:
    """The document in a file, or ``None`` where there is none to read."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a file, as far as they fit into 16 KiB; nothing where there is none."""
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, handle.seek(0, os.SEEK_END) - 16384))
            return handle.read().decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        return []


def rotate(path: Path, files: int) -> None:
    """Move a log aside: ``x.log`` becomes ``x.log.1`` and so on; the oldest goes."""
    if not path.exists() or path.stat().st_size == 0:
        return
    for number in range(files - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    if files:
        path.replace(path.with_name(f"{path.name}.1"))
    else:
        path.unlink()


def trim(log: Path, limit: int) -> None:
    """Keep a log from growing without end. Servers append, so that emptying the file in place is safe."""
    with suppress(OSError):
        if log.stat().st_size > limit:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)


def bound(host: str, port: int) -> socket.socket:
    """A bound socket; the server that gets it begins to listen.

    Raises:
        OSError: the address is taken or not this machine's.
    """
    info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    made = socket.socket(info[0], socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(info[4])
    except OSError:
        made.close()
        raise
    return made


def regained(pid: int, number: int, port: int) -> socket.socket | None:
    """A copy of the listening socket that another process has as its file ``number``; ``None`` where that is refused.

    Linux 5.6 and later give it to whoever may trace that process: pidfd_getfd(2).
    """
    try:
        import ctypes

        handle = os.pidfd_open(pid)
    except (ImportError, AttributeError, OSError):
        return None
    try:
        # glibc has a name for it since 2.36 only; the number is that of every architecture but alpha.
        copy: int = ctypes.CDLL(None).syscall(438, handle, number, 0)
    finally:
        os.close(handle)
    if copy < 0:
        return None
    made = socket.socket(fileno=copy)
    if made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and port_of(made) == port:
        return made
    made.close()
    return None


def port_of(made: socket.socket) -> int:
    """The port a socket is bound to."""
    number: int = made.getsockname()[1]
    return number

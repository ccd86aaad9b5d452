"""Files: written whole or not at all, locked between processes, joined without a way out."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mcp_packager.errors import Problem, UserError, WorldError

_POLL = 0.02


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Write ``data`` so that a reader, or a machine that loses power, sees the old file or the new one.

    The folder is made when it is missing. ``mode`` holds whatever the umask says. What is not ``durable`` may be empty
    after a loss of power: for what is made again in seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fchmod(handle.fileno(), mode)
            if durable:
                os.fsync(handle.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says against writing ``path`` into a problem with a fix."""
    try:
        yield
    except OSError as error:
        raise WorldError(
            Problem(
                what=f"{path} cannot be written: {error.strerror or error}",
                fix="Make room, and let yourself write there",
            )
        ) from error


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False, timeout: float = 600.0) -> Iterator[None]:
    """Hold the lock file ``path``, alone or (``shared``) with other readers, between processes and threads.

    The file stays: removing it would let two holders in. It names the last exclusive holder's process.

    Raises:
        WorldError: nobody let go within ``timeout`` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(descriptor, path, shared=shared, timeout=timeout)
        if not shared:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, *, shared: bool, timeout: float) -> None:
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.EACCES, errno.EINTR}:
                raise
        else:
            return
        if time.monotonic() > deadline:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise WorldError(
                Problem(
                    what=f"{path} has been locked for {timeout:g} s (last by process {holder})",
                    fix=f"Wait for that process to end, or end it: kill {holder}",
                )
            )
        time.sleep(_POLL)


def confined(root: Path, relative: str) -> Path:
    """Join ``relative`` (with ``/``) to ``root`` and refuse every way out: ``..``, absolute paths, links.

    Raises:
        UserError: the path leaves ``root``, or a part of it is a link that leads out.
    """
    pure = PurePosixPath(relative)
    unsafe = pure.is_absolute() or ".." in pure.parts or not pure.parts or "\0" in relative
    joined = root.joinpath(*pure.parts) if not unsafe else root
    if unsafe or not joined.resolve().is_relative_to(root.resolve()):
        raise UserError(
            Problem(
                what=f"{relative!r} leads out of {root}", fix="Name a path inside the folder, without links out of it"
            )
        )
    return joined


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-link ``source`` as ``target``; copy bytes, mode and time where links do not reach."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOTSUP, errno.EACCES}:
            raise
        shutil.copyfile(source, target)
        shutil.copystat(source, target)


def remove_tree(folder: Path) -> None:
    """Remove a folder whatever the modes inside it, or a file or link. Nothing there is fine; no link is followed."""
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink()
        return
    for parent, names, _ in os.walk(folder):
        for name in names:
            inner = Path(parent, name)
            if not inner.is_symlink():
                inner.chmod(stat.S_IRWXU)
    shutil.rmtree(folder)

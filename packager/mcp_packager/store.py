"""The shared store: what was fetched, unpacked or compiled once, for every project and every process.

``<root>/<kind>/<first two of key>/<key>/`` holds one entry: files, and ``.index.json`` that lists them with
size and SHA-256. An entry appears by one rename, is never changed, and is made again when what is on disk
no longer fits its index. Every file has the same fixed time: whoever writes into one (through a hard link,
say) changes its time and is found out by a ``stat``, without reading the file.

No entry is fsynced: a machine that loses power leaves short files, which the same check finds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mcp_packager.errors import PackError, Problem, WorldError
from mcp_packager.files import locked, remove_tree, write_atomic

EPOCH = 315532800
"""The time of every stored file: 1980-01-01T00:00:00Z, the first that a zip can hold."""

_INDEX = ".index.json"
_STAMP_EVERY = 3600.0
_YOUNGEST_PRUNED = 3600.0
_ABANDONED = 86400.0
_SLOTS = 256
_LONGEST_WORK = 3600.0


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of an entry. ``path`` is relative with ``/``; ``size`` in bytes; ``mode`` 0o644 or 0o755."""

    path: str
    sha256: str
    size: int
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry that was checked when it was handed out: its folder and its files, sorted by path."""

    folder: Path
    files: tuple[StoredFile, ...]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a clean-up removed, and what is left, in entries and bytes."""

    removed: int
    removed_bytes: int
    kept: int
    kept_bytes: int


def default_root() -> Path:
    """``MCP_PACK_CACHE``, else ``$XDG_CACHE_HOME/mcp-pack``, else ``~/.cache/mcp-pack``."""
    if chosen := os.environ.get("MCP_PACK_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mcp-pack"


T = TypeVar("T")
_trusting: list[None] = []
_trusted: dict[Hashable, Any] = {}


@contextlib.contextmanager
def trusting() -> Iterator[None]:
    """Let an entry that was found whole count as whole from then on, in this process, as long as this is open.

    For commands about many projects, which share nearly all of their entries. No pruning takes what was used within
    the last hour.
    """
    _trusting.append(None)
    try:
        yield
    finally:
        _trusting.pop()
        if not _trusting:
            _trusted.clear()


def found_once(what: Hashable, find: Callable[[], T]) -> T:
    """What ``find`` finds; under one name it is asked once as long as :func:`trusting` is open, else each time."""
    with contextlib.suppress(KeyError):
        known: T = _trusted[what]
        return known
    found = find()
    if _trusting:
        _trusted[what] = found
    return found


class Store:
    """The store below one folder. Safe to share between threads and processes."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = default_root() if root is None else root

    def find(self, kind: str, key: str, *, deep: bool = False) -> Stored | None:
        """The entry, if it is there and whole. ``deep`` reads every file and compares its SHA-256."""
        known: Stored | None = None if deep else _trusted.get((self.root, kind, key))
        if known:
            return known
        folder = self._folder(kind, key)
        if not folder.is_dir():
            return None
        with self._guard(), locked(self.root / "lock", shared=True):
            entry = _load(folder)
            if entry is None or not _whole(entry, deep=deep):
                return None
            _stamp(folder / _INDEX)
        if _trusting:
            _trusted[self.root, kind, key] = entry
        return entry

    def folder(self, kind: str, key: str, make: Callable[[Path], Iterable[StoredFile]]) -> Stored:
        """The entry; made by ``make(empty folder)`` when it is missing or damaged.

        ``make`` returns what it wrote and must not ask the store for another entry (locks are not nested).
        Two processes that want the same entry: one makes it, the other waits.

        Raises:
            WorldError: the store cannot be written, or another process holds the entry for ten minutes.
        """
        if found := self.find(kind, key):
            return found
        with self._guard(), locked(self._slot(kind, key)):
            if found := self.find(kind, key):
                return found
            with self.scratch() as scratch:
                files = tuple(sorted(make(scratch), key=lambda file: file.path))
                _seal(scratch, files)
                return self._publish(kind, key, scratch, files)

    def record(self, kind: str, key: str) -> Any:
        """A small JSON document that was remembered under ``key``, else ``None``."""
        try:
            return json.loads(self._record(kind, key).read_bytes())
        except (OSError, ValueError):
            return None

    def remember(self, kind: str, key: str, document: Mapping[str, Any]) -> None:
        """Keep a small JSON document. A store that cannot be written just forgets."""
        with contextlib.suppress(OSError):
            path = self._record(kind, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
            scratch.write_bytes(json.dumps(document, sort_keys=True).encode())
            scratch.replace(path)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder on the store's file system, gone afterwards."""
        folder = self.root / "scratch" / f"{os.getpid()}-{os.urandom(6).hex()}"
        with self._guard():
            folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            remove_tree(folder)

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Hold the lock called ``name`` against every other process of this store."""
        key = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
        with self._guard(), locked(self.root / "names" / key[:2], timeout=_LONGEST_WORK):
            yield

    def prune(self, *, older_than: float = 30 * 86400.0, larger_than: int | None = None) -> Pruned:
        """Remove entries unused for ``older_than`` seconds, then the longest unused until ``larger_than`` bytes.

        Entries used within the last hour stay whatever is asked: a running build may be reading them.
        """
        now = time.time()
        found = sorted(_entries(self.root))
        total = sum(size for _, size, _ in found)
        removed = removed_bytes = 0
        for used, size, folder in found:
            too_big = larger_than is not None and total - removed_bytes > larger_than
            if not (now - used > older_than or too_big):
                continue
            if self._remove(folder, unused_since=now - _YOUNGEST_PRUNED):
                removed += 1
                removed_bytes += size
        _sweep(self.root / "scratch", now - _ABANDONED)
        _sweep(self.root / "records", now - older_than)
        return Pruned(removed, removed_bytes, len(found) - removed, total - removed_bytes)

    def _remove(self, folder: Path, *, unused_since: float) -> bool:
        """Take one entry out of sight under the exclusive lock, then delete it at leisure."""
        grave = self.root / "scratch" / f"grave-{os.urandom(6).hex()}"
        with self._guard(), locked(self.root / "lock"):
            try:
                if (folder / _INDEX).stat().st_mtime > unused_since:
                    return False
            except FileNotFoundError:
                pass
            grave.parent.mkdir(parents=True, exist_ok=True)
            try:
                folder.rename(grave)
            except FileNotFoundError:
                return False
        remove_tree(grave)
        return True

    def _publish(self, kind: str, key: str, scratch: Path, files: tuple[StoredFile, ...]) -> Stored:
        """Put a made entry in its place; a finder sees the old one, none, or the new one, each of them whole."""
        final = self._folder(kind, key)
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.exists():
            grave = self.root / "scratch" / f"grave-{os.urandom(6).hex()}"
            final.rename(grave)
            remove_tree(grave)
        scratch.rename(final)
        return Stored(final, files)

    def _folder(self, kind: str, key: str) -> Path:
        return self.root / kind / key[:2] / key

    def _record(self, kind: str, key: str) -> Path:
        return self.root / "records" / kind / key[:2] / f"{key}.json"

    def _slot(self, kind: str, key: str) -> Path:
        number = int.from_bytes(hashlib.sha256(f"{kind}/{key}".encode()).digest()[:2], "big") % _SLOTS
        return self.root / "locks" / f"{number:02x}"

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """Turn a store that cannot be used into a problem with a fix."""
        try:
            yield
        except PackError:
            raise
        except OSError as error:
            raise WorldError(
                Problem(
                    what=f"The store {self.root} cannot be used: {error.strerror or error}",
                    fix="Make room and let yourself write there, or name another folder in MCP_PACK_CACHE",
                )
            ) from error


def write_file(folder: Path, path: str, data: bytes, mode: int = 0o644) -> StoredFile:
    """Write a new file of an entry being made."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return StoredFile(path, hashlib.sha256(data).hexdigest(), len(data), mode)


def _seal(folder: Path, files: Iterable[StoredFile]) -> None:
    """Fix mode and time of every file and write the index."""
    rows = []
    for file in files:
        target = folder / file.path
        target.chmod(0o555 if file.mode & 0o100 else 0o444)
        os.utime(target, (EPOCH, EPOCH))
        rows.append([file.path, file.sha256, file.size, file.mode])
    (folder / _INDEX).write_bytes(json.dumps({"schema": 1, "files": rows}, separators=(",", ":")).encode())


def _load(folder: Path) -> Stored | None:
    try:
        document = json.loads((folder / _INDEX).read_bytes())
        return Stored(folder, tuple(StoredFile(*row) for row in document["files"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _whole(entry: Stored, *, deep: bool) -> bool:
    base = f"{entry.folder}{os.sep}"
    try:
        for file in entry.files:
            state = os.stat(base + file.path, follow_symlinks=False)  # noqa: PTH116 - thousands a build; pathlib triples it
            if state.st_size != file.size or state.st_mtime_ns != EPOCH * 1_000_000_000:
                return False
            if deep and sha256_of(Path(base + file.path)) != file.sha256:
                return False
    except OSError:
        return False
    return True


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _stamp(index: Path) -> None:
    """Note that the entry was used, at most once an hour."""
    with contextlib.suppress(OSError):
        if time.time() - index.stat().st_mtime > _STAMP_EVERY / 2:
            os.utime(index)


def _entries(root: Path) -> Iterator[tuple[float, int, Path]]:
    """When each entry was last used, its bytes, its folder."""
    for index in root.glob(f"*/*/*/{_INDEX}"):
        entry = _load(index.parent)
        size = sum(file.size for file in entry.files) if entry else 0
        with contextlib.suppress(FileNotFoundError):
            yield index.stat().st_mtime, size, index.parent


def _sweep(folder: Path, before: float) -> None:
    """Remove what lies below ``folder`` and was not touched since ``before``."""
    for item in sorted(folder.glob("**/*"), reverse=True) if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            if item.is_dir() and not item.is_symlink():
                if folder.name == "scratch" and item.parent == folder and item.stat().st_mtime < before:
                    remove_tree(item)
            elif folder.name == "records" and item.stat().st_mtime < before:
                item.unlink()


__all__ = [
    "EPOCH",
    "Pruned",
    "Store",
    "Stored",
    "StoredFile",
    "default_root",
    "sha256_of",
    "write_atomic",
    "write_file",
]

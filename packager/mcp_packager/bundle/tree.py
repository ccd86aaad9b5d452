"""A bundle as a folder, where a process needs one."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import assert_never

from mcp_packager.bundle import bytecode, install
from mcp_packager.bundle.entries import Bundle, Entry, Inline, Packed, ProjectFile, Stored, content
from mcp_packager.bundle.listing import lay_out
from mcp_packager.bundle.merge import merged
from mcp_packager.files import link_or_copy, remove_tree, writing
from mcp_packager.interpreters import Interpreter
from mcp_packager.lock import Lock, Wheel, fetch
from mcp_packager.platforms import Platform
from mcp_packager.progress import Progress, Silent
from mcp_packager.store import EPOCH, Store, StoredFile, sha256_of

KIND = "environments"


def materialise(bundle: Bundle, folder: Path) -> None:
    """Write the bundle as ``folder``, whole or not at all; what was there before is replaced.

    Files of the store are hard-linked and read-only; the author's files are copied. A folder that already holds
    exactly the bundle is left as it is.

    Raises:
        UserError: a file of the author's changed since the bundle was put together, or a wheel is damaged.
        WorldError: the system does not let it be written.
    """
    lay_out(bundle.entries)
    if _holds(folder, bundle):
        return
    with writing(folder):
        _replace(bundle, folder)


def _replace(bundle: Bundle, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.{os.urandom(4).hex()}")
    old = fresh.with_name(f"{fresh.name}.old")
    try:
        fresh.mkdir()
        write_tree(bundle.entries, fresh)
        if os.path.lexists(folder):
            folder.rename(old)
        fresh.rename(folder)
    finally:
        remove_tree(fresh)
        remove_tree(old)


def _holds(folder: Path, bundle: Bundle) -> bool:
    """Whether the folder holds the bundle's files and no other."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    there = dict(_files(folder, ""))
    if there.keys() != {entry.path for entry in bundle.entries}:
        return False
    return all(_is(entry, there[entry.path]) for entry in bundle.entries)


def _files(folder: Path | str, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry


def _is(entry: Entry, found: os.DirEntry[str]) -> bool:
    """Whether a file is the entry's: the very file of the store (which is checked), else by its hash."""
    state = found.stat(follow_symlinks=False)
    if not stat.S_ISREG(state.st_mode) or state.st_size != entry.size:
        return False
    match entry.source:
        case Stored() | Packed() as known:
            if os.path.samestat(state, known.stored.stat()):
                return True
        case ProjectFile() | Inline():
            if stat.S_IMODE(state.st_mode) != entry.mode:
                return False
        case other:
            assert_never(other)
    return sha256_of(Path(found.path)) == entry.sha256


def environment(
    lock: Lock,
    platform: Platform,
    *,
    interpreter: Interpreter | None = None,
    progress: Progress | None = None,
    store: Store | None = None,
) -> Path:
    """The library folder of ``platform`` as a tree in the store, made once for each lock; read-only.

    With ``interpreter`` it holds that interpreter's bytecode, and imports take half the time. It is to be
    used with ``PYTHONDONTWRITEBYTECODE`` set: nothing may be written into it.
    """
    shared = store or Store()
    told = progress or Silent()
    wheels = fetch(lock, platform, progress=told, store=shared)
    key = _environment_key(wheels, interpreter)
    if found := shared.find(KIND, key):
        return found.folder / "lib"
    with told.stage("environment"):
        listed = install.every(wheels, shared)
        entries = merged(listed)
        if interpreter is not None:
            entries = (*entries, *bytecode.once(bytecode.of_wheels(listed, interpreter, shared)))
        lay_out(entries)

        def make(target: Path) -> Iterable[StoredFile]:
            write_tree(entries, target)
            return [StoredFile(entry.path, entry.sha256, entry.size, entry.mode) for entry in entries]

        return shared.folder(KIND, key, make).folder / "lib"


def environment_key(
    lock: Lock,
    platform: Platform,
    *,
    interpreter: Interpreter | None = None,
    progress: Progress | None = None,
    store: Store | None = None,
) -> str:
    """What names the folder that :func:`environment` makes of the same, without looking at its thousands of files."""
    return _environment_key(fetch(lock, platform, progress=progress or Silent(), store=store or Store()), interpreter)


def _environment_key(wheels: Iterable[Wheel], interpreter: Interpreter | None) -> str:
    identity = "\n".join([interpreter.identity if interpreter else "", *(wheel.sha256 for wheel in wheels)])
    return hashlib.sha256(identity.encode()).hexdigest()


def write_tree(entries: Iterable[Entry], folder: Path) -> None:
    """Write entries below an empty folder; those of wheels are laid out in the store."""
    made: set[str] = set()
    for entry in entries:
        parent = entry.path.rpartition("/")[0]
        if parent not in made:
            (folder / parent).mkdir(parents=True, exist_ok=True)
            made.add(parent)
        target = folder / entry.path
        match entry.source:
            case Stored() | Packed() as known:
                link_or_copy(known.stored, target)
            case ProjectFile() | Inline():
                target.write_bytes(content(entry))
                target.chmod(entry.mode)
                os.utime(target, (EPOCH, EPOCH))
            case other:
                assert_never(other)

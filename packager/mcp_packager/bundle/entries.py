"""The exact content of an artifact, as data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, assert_never

from mcp_packager.bundle.archives import Archives
from mcp_packager.errors import Problem, UserError
from mcp_packager.platforms import Platform

UNPACKED: Final = "unpacked"
"""The kind of what is unpacked in the store, under the key of its listing."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A member of an archive in the store: of a wheel, or of the modules compiled from one.

    ``listing`` is the folder in the store with the archive's listing. ``stored`` is the same content unpacked there, to
    be linked, never written to: there once somebody who needs files had it laid out.
    """

    archive: Path
    member: str
    listing: Path
    path: str

    @property
    def stored(self) -> Path:
        """``path`` in the store, unpacked: joined when it is asked for, which it is for few of thousands."""
        return _unpacked_at(self.listing) / self.path


@lru_cache(maxsize=512)
def _unpacked_at(listing: Path) -> Path:
    return listing.parents[2] / UNPACKED / listing.parent.name / listing.name


@dataclass(frozen=True, slots=True)
class Stored:
    """A file of the store: a compiled module of the author's, or what installing makes. To be linked, never written."""

    folder: Path
    path: str

    @property
    def stored(self) -> Path:
        """``path`` in the store's ``folder``."""
        return self.folder / self.path


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A file of the author's project. To be copied, never linked: its author edits it."""

    path: Path


@dataclass(frozen=True, slots=True)
class Inline:
    """A document that the packager wrote."""

    data: bytes


Source = Packed | Stored | ProjectFile | Inline


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: ``path`` with ``/``, ``mode`` 0o644 or 0o755, SHA-256 in hex, ``size`` in bytes, its source."""

    path: str
    mode: int
    sha256: str
    size: int
    source: Source


@dataclass(frozen=True)
class Bundle:
    """Entries sorted by path. ``interpreter_version`` is the one whose bytecode is inside; ``None``: no bytecode."""

    entries: tuple[Entry, ...]
    platform: Platform
    interpreter_version: str | None

    @cached_property
    def hash(self) -> str:
        """SHA-256 over platform, interpreter and every entry: the bundle's identity."""
        digest = hashlib.sha256(f"bundle 1\0{self.platform}\0{self.interpreter_version or ''}\n".encode())
        rows = (f"{entry.path}\0{entry.mode:o}\0{entry.size}\0{entry.sha256}\n" for entry in self.entries)
        digest.update("".join(rows).encode())
        return digest.hexdigest()

    @cached_property
    def size(self) -> int:
        """Bytes of all entries."""
        return sum(entry.size for entry in self.entries)

    def below(self, folder: str) -> tuple[Entry, ...]:
        """The entries inside a folder such as ``app``."""
        return tuple(entry for entry in self.entries if entry.path.startswith(f"{folder}/"))


def make(entries: Iterable[Entry], platform: Platform, interpreter_version: str | None) -> Bundle:
    """Sort the entries by path and freeze them."""
    return Bundle(tuple(sorted(entries, key=lambda entry: entry.path)), platform, interpreter_version)


def inline(path: str, data: bytes) -> Entry:
    """An entry for a document made here."""
    return Entry(path, 0o644, hashlib.sha256(data).hexdigest(), len(data), Inline(data))


def content(entry: Entry, archives: Archives | None = None) -> bytes:
    """The bytes of an entry. ``archives`` is for who asks for many: it keeps what it read of each archive.

    Raises:
        UserError: a file of the project changed since the bundle was put together, or a wheel is damaged.
    """
    match entry.source:
        case Inline(data):
            return data
        case Stored() as found:
            return found.stored.read_bytes()
        case Packed(archive, member):
            return (archives or Archives()).data(archive, member)
        case ProjectFile(path):
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != entry.sha256:
                raise UserError(Problem(what=f"{path} changed while it was being packed", fix="Build again"))
            return data
        case other:
            assert_never(other)

"""What an archive in the store holds, as entries; and its files, for those who need files.

A listing is made by reading an archive once. Most bundles become a layer or a zip, which are made of the archives as
they lie there: to write thousands of files first takes as long as half of the rest. A tree on disk is linked from the
store, where :func:`lay_out` unpacks what it asks for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from mcp_packager.bundle.archives import Archives
from mcp_packager.bundle.entries import UNPACKED, Entry, Packed, Stored
from mcp_packager.store import Store, StoredFile, write_file

SIDE_BY_SIDE: Final = 2
_FILE: Final = "listing.json"
_MADE: Final = "made/"


class Row(NamedTuple):
    """One file: where it goes, its member in the archive (``None``: made beside the listing), mode, SHA-256, size."""

    path: str
    member: str | None
    mode: int
    sha256: str
    size: int


def write(rows: Iterable[Row], folder: Path) -> StoredFile:
    """Put a listing into an entry of the store that is being made."""
    text = json.dumps([tuple(row) for row in sorted(rows)], separators=(",", ":"), ensure_ascii=False)
    return write_file(folder, _FILE, text.encode())


def write_made(row: Row, data: bytes, folder: Path) -> StoredFile:
    """Put a file beside the listing that is in the archive with another content."""
    return write_file(folder, f"{_MADE}{row.path}", data, row.mode)


def entries(folder: Path, archive: Path) -> tuple[Entry, ...]:
    """The files of an archive, whose listing lies in ``folder``; sorted by path."""
    return tuple(_entry(row, folder, archive) for row in _rows(folder))


def _rows(folder: Path) -> list[Row]:
    return [Row(*row) for row in json.loads((folder / _FILE).read_bytes())]


def _entry(row: Row, folder: Path, archive: Path) -> Entry:
    made = row.member is None
    source = Stored(folder, f"{_MADE}{row.path}") if made else Packed(archive, row.member or "", folder, row.path)
    return Entry(row.path, row.mode, row.sha256, row.size, source)


def lay_out(wanted: Sequence[Entry]) -> None:
    """Unpack in the store what these entries are to be linked from. What is there and whole stays.

    Raises:
        UserError: an archive is damaged.
        WorldError: the store cannot be written.
    """
    found = {entry.source.listing: entry.source.archive for entry in wanted if isinstance(entry.source, Packed)}
    largest_first = sorted(found.items(), key=lambda item: (-item[1].stat().st_size, item[1]))
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        list(pool.map(lambda item: _unpacked(*item), largest_first))


def _unpacked(folder: Path, archive: Path) -> None:
    archives = Archives()

    def make(target: Path) -> list[StoredFile]:
        return [
            write_file(target, row.path, archives.data(archive, row.member), row.mode)
            for row in _rows(folder)
            if row.member is not None
        ]

    Store(folder.parents[2]).folder(UNPACKED, folder.name, make)

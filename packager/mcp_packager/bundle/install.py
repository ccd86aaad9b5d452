"""A wheel as a site-packages folder: which of its members go where, and what is in them.

Follows https://packaging.python.org/en/latest/specifications/binary-distribution-format/ for a folder that is
used through PYTHONPATH: ``.data/purelib`` and ``platlib`` go to the top, ``scripts`` to ``bin/``, ``data`` to the
top (as ``pip install --target`` does), ``headers`` nowhere. Entry-point scripts are not made: nobody starts them.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import stat
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mcp_packager.bundle import archives, listing
from mcp_packager.bundle.entries import Entry
from mcp_packager.bundle.listing import Row
from mcp_packager.errors import Problem, UserError
from mcp_packager.lock import Wheel
from mcp_packager.store import Store, StoredFile
from mcp_packager.store import Stored as StoredEntry

KIND = "listed"
_LAYOUT = "2"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a member goes: ``path`` in the library folder, ``member`` in the zip, executable or not."""

    path: str
    member: zipfile.ZipInfo
    executable: bool
    script: bool = False


def listed(wheel: Wheel, store: Store) -> tuple[Entry, ...]:
    """The wheel's files as entries below ``lib/``, sorted; read once for all projects, and unpacked by nobody.

    Raises:
        UserError: it is no wheel, or would write outside its folder, make a link, or hold a path twice.
    """
    return _listed(_Listed(wheel, store.folder(KIND, _key(wheel), lambda folder: _list(wheel, folder))))


def every(wheels: Sequence[Wheel], store: Store) -> list[tuple[Wheel, tuple[Entry, ...]]]:
    """Each wheel with its files; those that were never read are read side by side, the largest first.

    Raises:
        UserError: as :func:`listed`.
    """
    new = [wheel for wheel in wheels if store.find(KIND, _key(wheel)) is None]
    if new:
        new.sort(key=lambda wheel: (-wheel.path.stat().st_size, wheel.name))
        with ThreadPoolExecutor(listing.SIDE_BY_SIDE) as pool:
            list(pool.map(lambda wheel: listed(wheel, store), new))
    return [(wheel, listed(wheel, store)) for wheel in wheels]


class _Listed(NamedTuple):
    """A wheel and its entry in the store, told apart by where both lie: what lies there never changes."""

    wheel: Wheel
    entry: StoredEntry

    def __hash__(self) -> int:
        return hash((self.wheel.path, self.entry.folder))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Listed) and (self.wheel.path, self.entry.folder) == (
            other.wheel.path,
            other.entry.folder,
        )


@lru_cache(maxsize=512)
def _listed(found: _Listed) -> tuple[Entry, ...]:
    return listing.entries(found.entry.folder, found.wheel.path)


def _key(wheel: Wheel) -> str:
    return hashlib.sha256(f"{_LAYOUT}\0{wheel.sha256}".encode()).hexdigest()


def _list(wheel: Wheel, folder: Path) -> Iterable[StoredFile]:
    rows: list[Row] = []
    made: list[StoredFile] = []
    moved = False
    try:
        for place in _places(archives.directory(wheel.path), wheel):
            data = archives.read(wheel.path, place.member)
            member: str | None = place.member.filename
            if place.script and data.startswith(b"#!python"):
                data, member = b"#!/usr/bin/env python3" + data[data.index(b"\n") :], None
            row = _row(place.path, member, data, executable=place.executable)
            if member is None:
                made.append(listing.write_made(row, data, folder))
            moved = moved or place.path != member
            rows.append(row)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise _refuse(wheel, f"is not a wheel: {error}") from error
    own = next((row for row in rows if row.path.count("/") == 2 and row.path.endswith(".dist-info/RECORD")), None)
    if moved and own is not None:
        data = _record(rows, own)
        rows.remove(own)
        rows.append(_row(own.path.removeprefix("lib/"), None, data, executable=False))
        made.append(listing.write_made(rows[-1], data, folder))
    return [*made, listing.write(rows, folder)]


def _row(path: str, member: str | None, data: bytes, *, executable: bool) -> Row:
    return Row(f"lib/{path}", member, 0o755 if executable else 0o644, hashlib.sha256(data).hexdigest(), len(data))


def _places(members: Iterable[zipfile.ZipInfo], wheel: Wheel) -> list[_Place]:
    """Where every member goes; refuses what a wheel must not hold."""
    places: dict[str, _Place] = {}
    for info in members:
        if info.is_dir():
            continue
        if stat.S_ISLNK(info.external_attr >> 16):
            raise _refuse(wheel, f"holds a link, {info.filename}")
        place = _place(info, wheel)
        if place is None:
            continue
        if place.path in places:
            raise _refuse(wheel, f"holds {place.path} twice")
        places[place.path] = place
    if not any(path.endswith(".dist-info/WHEEL") and path.count("/") == 1 for path in places):
        raise _refuse(wheel, "is not a wheel: it holds no .dist-info/WHEEL")
    return [places[path] for path in sorted(places)]


def _place(info: zipfile.ZipInfo, wheel: Wheel) -> _Place | None:
    name = info.filename
    parts = PurePosixPath(name).parts
    if name.startswith("/") or "\\" in name or "\0" in name or ":" in parts[0] or ".." in parts:
        raise _refuse(wheel, f"would write outside its folder: {name!r}")
    if "__pycache__" in parts or name.endswith((".pyc", ".pyo")):
        return None
    executable = bool((info.external_attr >> 16) & 0o111)
    if len(parts) > 2 and parts[0].endswith(".data"):
        inner = "/".join(parts[2:])
        match parts[1]:
            case "purelib" | "platlib" | "data":
                return _Place(inner, info, executable)
            case "scripts":
                return _Place(f"bin/{inner}", info, executable=True, script=True)
            case "headers":
                return None
            case other:
                raise _refuse(wheel, f"holds the unknown folder .data/{other}")
    return _Place("/".join(parts), info, executable)


def _record(rows: Iterable[Row], own: Row) -> bytes:
    """RECORD again, for files that moved."""
    buffer = io.StringIO()
    lines = csv.writer(buffer, lineterminator="\n")
    for row in sorted(rows, key=lambda row: row.path):
        name = row.path.removeprefix("lib/")
        if row == own:
            lines.writerow([name, "", ""])
            continue
        coded = base64.urlsafe_b64encode(bytes.fromhex(row.sha256)).rstrip(b"=").decode()
        lines.writerow([name, f"sha256={coded}", row.size])
    return buffer.getvalue().encode()


def _refuse(wheel: Wheel, what: str) -> UserError:
    return UserError(
        Problem(what=f"{wheel.filename} {what}", fix=f"Do not use this file; choose another version of {wheel.name}")
    )

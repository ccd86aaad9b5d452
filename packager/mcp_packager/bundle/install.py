"""A wheel laid out as a site-packages folder, in the store.

Follows https://packaging.python.org/en/latest/specifications/binary-distribution-format/ for a folder that is
used through PYTHONPATH: ``.data/purelib`` and ``platlib`` go to the top, ``scripts`` to ``bin/``, ``data`` to the
top (as ``pip install --target`` does), ``headers`` nowhere. Entry-point scripts are not made: nobody starts them.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mcp_packager.bundle.entries import Entry, Stored, WheelMember
from mcp_packager.errors import Problem, UserError
from mcp_packager.lock import Wheel
from mcp_packager.store import Store, StoredFile, write_file
from mcp_packager.store import Stored as StoredEntry

KIND = "unpacked"
_LAYOUT = "1"
_MEMBERS = "members.json"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a member goes: ``path`` in the library folder, ``member`` in the zip, executable or not."""

    path: str
    member: zipfile.ZipInfo
    executable: bool
    script: bool = False


def unpacked(wheel: Wheel, store: Store) -> tuple[Entry, ...]:
    """The wheel's files as entries below ``lib/``, sorted; unpacked once for all projects.

    Raises:
        UserError: it is no wheel, or would write outside its folder, make a link, or hold a path twice.
    """
    key = hashlib.sha256(f"{_LAYOUT}\0{wheel.sha256}".encode()).hexdigest()
    entry = store.folder(KIND, key, lambda folder: _unpack(wheel, folder))
    return _listed(_Listed(wheel, entry))


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
    wheel, entry = found
    moved: dict[str, str | None] = {}
    if any(file.path == _MEMBERS for file in entry.files):
        moved = json.loads((entry.folder / _MEMBERS).read_bytes())
    return tuple(_entry(file, entry.folder, wheel, moved) for file in entry.files if file.path != _MEMBERS)


def _entry(file: StoredFile, folder: Path, wheel: Wheel, moved: dict[str, str | None]) -> Entry:
    inner = file.path.removeprefix("lib/")
    member = moved.get(inner, inner)
    source = Stored(folder, file.path) if member is None else WheelMember(wheel.path, member, folder, file.path)
    return Entry(file.path, file.mode, file.sha256, file.size, source)


def _unpack(wheel: Wheel, folder: Path) -> Iterable[StoredFile]:
    try:
        with zipfile.ZipFile(wheel.path) as archive:
            places = _places(archive, wheel)
            files: list[StoredFile] = []
            moved: dict[str, str | None] = {}
            for place in places:
                data = archive.read(place.member)
                if place.script and data.startswith(b"#!python"):
                    data = b"#!/usr/bin/env python3" + data[data.index(b"\n") :]
                    moved[place.path] = None
                elif place.path != place.member.filename:
                    moved[place.path] = place.member.filename
                files.append(write_file(folder, f"lib/{place.path}", data, 0o755 if place.executable else 0o644))
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise _refuse(wheel, f"is not a wheel: {error}") from error
    if moved:
        files = [_record(files, folder) if file.path.endswith(".dist-info/RECORD") else file for file in files]
        moved |= {file.path.removeprefix("lib/"): None for file in files if file.path.endswith(".dist-info/RECORD")}
        files.append(write_file(folder, _MEMBERS, json.dumps(moved, sort_keys=True).encode()))
    return files


def _places(archive: zipfile.ZipFile, wheel: Wheel) -> list[_Place]:
    """Where every member goes; refuses what a wheel must not hold."""
    places: dict[str, _Place] = {}
    for info in archive.infolist():
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


def _record(files: Iterable[StoredFile], folder: Path) -> StoredFile:
    """RECORD again, for files that moved."""
    files = list(files)
    own = next(file.path for file in files if file.path.endswith(".dist-info/RECORD"))
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    for file in sorted(files, key=lambda file: file.path):
        name = file.path.removeprefix("lib/")
        if file.path == own:
            rows.writerow([name, "", ""])
            continue
        coded = base64.urlsafe_b64encode(bytes.fromhex(file.sha256)).rstrip(b"=").decode()
        rows.writerow([name, f"sha256={coded}", file.size])
    (folder / own).unlink()
    return write_file(folder, own, buffer.getvalue().encode())


def _refuse(wheel: Wheel, what: str) -> UserError:
    return UserError(
        Problem(what=f"{wheel.filename} {what}", fix=f"Do not use this file; choose another version of {wheel.name}")
    )

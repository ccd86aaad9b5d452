"""A bundle as a zip: the same bytes for the same entries, and nothing compressed that a wheel has compressed already.

A wheel is a zip itself, so its members' deflate streams are copied as they are (APPNOTE.TXT 6.3, 4.3.7 and 4.3.12 say
where they lie). What remains is compressed once: dependencies and runtime are kept in the store as the stretch of the
archive that they are, and after an edit only the author's files are compressed again.

Times are 1980-01-01, owner and system are those of no machine, there are no folders and no links. What a zip cannot
hold without its 64-bit extension is refused, since not every reader knows it.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcp_packager.bundle.archives import DEFLATED, STORED, Archives, Stream
from mcp_packager.bundle.entries import Bundle, Entry, Packed, content
from mcp_packager.errors import Problem, UserError
from mcp_packager.files import writing
from mcp_packager.store import Store, StoredFile

_KIND: Final = "zips"
_BODY, _INDEX = "body", "index"
_LEVEL: Final = 9
_SIDE_BY_SIDE: Final = 2
_AT_A_TIME: Final = 1 << 18
_RUNTIME: Final = ("lib/mcp_tool/", "lib/mcp_tool_runtime-")

_MOST_FILES: Final = 0xFFFF - 1
_MOST_BYTES: Final = 0xFFFFFFFF - 1
_UTF8: Final = 0x800
_VERSION: Final = 20
_UNIX: Final = 3 << 8
_DATE: Final = 0x0021  # 1980-01-01 in the format of MS-DOS
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_OFFSET_AT: Final = _CENTRAL.size - 4
"""Where a central record says at which byte its member begins."""


@dataclass(frozen=True, slots=True)
class Zipped:
    """A zip that was written: SHA-256 in hex, bytes of the file and of what is in it, and how many files that is."""

    path: Path
    sha256: str
    size: int
    unzipped: int
    files: int


@dataclass(frozen=True, slots=True)
class _Member:
    """One file as it stands in an archive: its local header with the data behind it, and its central record."""

    local: bytes
    central: bytes


def write_zip(bundle: Bundle, path: Path, beside: Sequence[Entry] = (), *, store: Store | None = None) -> Zipped:
    """Write a bundle as a zip, whole or not at all.

    Args:
        bundle: What goes in.
        path: The file; replaced if it is there.
        beside: Entries that do not belong to the bundle, such as what a platform starts.
        store: Keeps what was compressed; the shared one by default.

    Raises:
        UserError: it holds more than 65 534 files or four GiB, or a file of the author's changed meanwhile.
        WorldError: the system does not let it be written.
    """
    shared = store or Store()
    groups: dict[str, list[Entry]] = {"dependencies": [], "runtime": [], "code": []}
    for entry in (*bundle.entries, *beside):
        groups[_group(entry.path)].append(entry)
    everything = [entry for group in groups.values() for entry in group]
    _refuse_large(everything)
    kept = [_kept(entries, shared) for name, entries in groups.items() if name != "code" and entries]
    last = _members(sorted(groups["code"], key=lambda entry: entry.path))
    with writing(path):
        sha256, size = _write(path, kept, last, len(everything))
    return Zipped(path, sha256, size, sum(entry.size for entry in everything), len(everything))


def sizes(entries: Iterable[Entry]) -> dict[str, int]:
    """Bytes by what they belong to, the largest first: packages by their folder in ``lib``, and ``app``."""
    found: dict[str, int] = {}
    for entry in entries:
        parts = entry.path.split("/")
        name = parts[1] if parts[0] == "lib" and len(parts) > 2 else parts[0]
        name = name.partition(".libs")[0]  # where auditwheel puts the shared libraries of a package
        found[name] = found.get(name, 0) + entry.size
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def _group(path: str) -> str:
    if path.startswith(_RUNTIME):
        return "runtime"
    return "dependencies" if path.startswith("lib/") else "code"


def _refuse_large(entries: Sequence[Entry]) -> None:
    if len(entries) > _MOST_FILES or sum(entry.size for entry in entries) > _MOST_BYTES:
        raise UserError(
            Problem(
                what=f"The bundle is too large for a zip: {len(entries)} files",
                fix="Depend on less, or build an image",
            )
        )


def _kept(entries: Sequence[Entry], store: Store) -> Path:
    """The folder with a stretch of the archive and its central records, made once for its entries."""
    identity = hashlib.sha256(f"zip 1\0{zlib.ZLIB_RUNTIME_VERSION}\0{_LEVEL}\n".encode())
    for entry in entries:
        # A wheel's folder in the store is named by its hash: the same content may be compressed in another way.
        wheel = entry.source.archive.parent.name if isinstance(entry.source, Packed) else ""
        identity.update(f"{entry.path}\0{entry.mode:o}\0{entry.size}\0{entry.sha256}\0{wheel}\n".encode())

    def make(folder: Path) -> list[StoredFile]:
        members = _members(sorted(entries, key=lambda entry: entry.path))
        return [
            _put(folder, _BODY, [member.local for member in members]),
            _put(folder, _INDEX, _placed(members, 0)),
        ]

    return store.folder(_KIND, identity.hexdigest(), make).folder


def _put(folder: Path, name: str, parts: Sequence[bytes]) -> StoredFile:
    digest = hashlib.sha256()
    with (folder / name).open("wb") as file:
        for part in parts:
            digest.update(part)
            file.write(part)
    return StoredFile(name, digest.hexdigest(), sum(map(len, parts)))


def _placed(members: Sequence[_Member], at: int) -> list[bytes]:
    """The central records of members that stand one after the other from ``at``."""
    records = []
    for member in members:
        records.append(member.central[:_OFFSET_AT] + struct.pack("<L", at) + member.central[_CENTRAL.size :])
        at += len(member.local)
    return records


def _moved(records: bytes, by: int) -> bytes:
    """Central records of members that stand ``by`` bytes further on."""
    moved, at = bytearray(records), 0
    while at < len(moved):
        name = struct.unpack_from("<H", moved, at + 28)[0]
        (offset,) = struct.unpack_from("<L", moved, at + _OFFSET_AT)
        struct.pack_into("<L", moved, at + _OFFSET_AT, offset + by)
        at += _CENTRAL.size + name
    return bytes(moved)


def _write(path: Path, kept: Sequence[Path], last: Sequence[_Member], count: int) -> tuple[str, int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    digest = hashlib.sha256()
    try:
        with scratch.open("wb") as file:
            at, records = 0, []

            def put(data: bytes) -> None:
                nonlocal at
                digest.update(data)
                file.write(data)
                at += len(data)

            for folder in kept:
                records.append(_moved((folder / _INDEX).read_bytes(), at))
                # By and by: what was just read is hashed and written from the processor's own memory.
                with (folder / _BODY).open("rb") as body:
                    while data := body.read(_AT_A_TIME):
                        put(data)
            records += _placed(last, at)
            for member in last:
                put(member.local)
            begin, central = at, b"".join(records)
            put(central)
            put(_END.pack(b"PK\x05\x06", 0, 0, count, count, len(central), begin, 0))
        scratch.chmod(0o644)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    return digest.hexdigest(), at


def _members(entries: Sequence[Entry]) -> list[_Member]:
    archives = Archives()
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        streams = pool.map(lambda entry: _stream(entry, archives), entries)
        return [_member(*done) for done in zip(entries, streams, strict=True)]


def _member(entry: Entry, stream: Stream) -> _Member:
    name = entry.path.encode()
    flags = 0 if entry.path.isascii() else _UTF8
    what = (flags, stream.method, 0, _DATE, stream.crc, len(stream.data), entry.size, len(name), 0)
    local = _LOCAL.pack(b"PK\x03\x04", _VERSION, *what)
    mode = (0o100000 | entry.mode) << 16
    central = _CENTRAL.pack(b"PK\x01\x02", _UNIX | _VERSION, _VERSION, *what, 0, 0, 0, mode, 0)
    return _Member(local + name + stream.data, central + name)


def _stream(entry: Entry, archives: Archives) -> Stream:
    """The data of an entry."""
    if isinstance(entry.source, Packed):
        member = archives.member(entry.source.archive, entry.source.member)
        if member.compress_type == DEFLATED and member.file_size == entry.size:
            return archives.stream(entry.source.archive, entry.source.member)
    data = content(entry, archives)
    making = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = making.compress(data) + making.flush()
    if len(deflated) < len(data):
        return Stream(DEFLATED, zlib.crc32(data), deflated)
    return Stream(STORED, zlib.crc32(data), data)


__all__ = ["Zipped", "sizes", "write_zip"]

"""A tar stream that is the same for the same entries, wherever it is made.

ustar headers (POSIX.1-1988), with a pax header (POSIX.1-2001) where a path or a size does not fit; owner 0, one time
for all. `tarfile` makes the same in four times the time, most of it in objects that are not needed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mcp_packager.store import EPOCH

BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)

_LARGEST: Final = 8**11 - 1
_FILE, _FOLDER, _PAX = b"0", b"5", b"x"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder: its path without the last slash."""

    path: str


def folders(paths: Iterator[str] | list[str]) -> list[Folder]:
    """Every folder above the given paths, sorted."""
    found: set[str] = set()
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return [Folder(path) for path in sorted(found)]


def folder(path: str) -> bytes:
    """The member of a folder, mode 0755."""
    return _head(f"{path}/", 0o755, 0, _FOLDER)


def member(path: str, mode: int, data: bytes) -> bytes:
    """The member of a file: header, content, padding."""
    return b"".join((_head(path, mode, len(data), _FILE), data, padding(len(data))))


def head(path: str, mode: int, size: int) -> bytes:
    """The header of a file's member; content and padding follow."""
    return _head(path, mode, size, _FILE)


def padding(size: int) -> bytes:
    """What fills the last block of a content of ``size`` bytes."""
    return bytes(-size % BLOCK)


def _head(path: str, mode: int, size: int, kind: bytes) -> bytes:
    name = path.encode()
    prefix, short = _split(name)
    extra = b""
    if short is None or size > _LARGEST:
        records = b"".join(
            _record(key, value)
            for key, value in (("path", path), ("size", str(size)))
            if (key == "path" and short is None) or (key == "size" and size > _LARGEST)
        )
        extra = _block(b"pax", b"", 0o644, len(records), _PAX) + records + padding(len(records))
        prefix, short = (b"", name[:100]) if short is None else (prefix, short)
    return extra + _block(short, prefix, mode, min(size, _LARGEST), kind)


def _split(name: bytes) -> tuple[bytes, bytes | None]:
    """A path as ustar's two fields of 155 and 100 bytes; no second where it does not fit or is not ASCII."""
    if not name.isascii():
        return b"", None
    if len(name) <= 100:
        return b"", name
    place = name.find(b"/", len(name) - 101)
    if place < 1 or place > 155 or place == len(name) - 1:
        return b"", None
    return name[:place], name[place + 1 :]


def _record(key: str, value: str) -> bytes:
    """A pax record, whose length counts its own digits."""
    body = f" {key}={value}\n".encode()
    length = len(body) + len(str(len(body)))
    if len(str(length)) + len(body) != length:
        length = len(body) + len(str(length))
    return str(length).encode() + body


def _block(name: bytes, prefix: bytes, mode: int, size: int, kind: bytes) -> bytes:
    head = b"".join(
        (
            name.ljust(100, b"\0"),
            b"%07o\0" % mode,
            b"0000000\0" * 2,  # owner and group
            b"%011o\0" % size,
            b"%011o\0" % EPOCH,
            b"        ",
            kind,
            bytes(100),
            b"ustar\x0000",
            bytes(64),
            b"0000000\0" * 2,  # device numbers
            prefix.ljust(155, b"\0"),
            bytes(12),
        )
    )
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]

"""Members of archives in the store, wheels above all: read where they lie, without unpacking what is beside them."""

from __future__ import annotations

import os
import struct
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zlib_ng import zlib_ng

from mcp_packager.errors import Problem, UserError

STORED: Final = 0
DEFLATED: Final = 8
_ENCRYPTED: Final = 0x1
_UTF8: Final = 0x800
_LOCAL: Final = struct.Struct("<4s5H3L2H")


@dataclass(frozen=True, slots=True)
class Stream:
    """Data as it stands in an archive. ``method`` 0 is as it is, 8 deflated; the checksum is of the content."""

    method: int
    crc: int
    data: bytes


class Archives:
    """Archives that are read again and again: the directory of each is read once. Threads may share it.

    A file is open only while it is read: a lock may name more wheels than a process may have files open.
    """

    def __init__(self) -> None:
        self._known: dict[Path, Mapping[str, zipfile.ZipInfo]] = {}
        self._reading = threading.Lock()

    def member(self, archive: Path, name: str) -> zipfile.ZipInfo:
        """What the archive's directory says of a member."""
        with self._reading:
            found = self._known.get(archive)
            if found is None:
                found = self._known[archive] = {member.filename: member for member in directory(archive)}
        return found[name]

    def stream(self, archive: Path, name: str) -> Stream:
        """A member as it stands there, unread.

        Raises:
            UserError: the archive is damaged.
        """
        member = self.member(archive, name)
        return Stream(member.compress_type, member.CRC, _whole(archive, member, raw))

    def data(self, archive: Path, name: str) -> bytes:
        """A member's content, checked against its length and CRC-32.

        Raises:
            UserError: the archive is damaged, or made in a way that is not read here.
        """
        return _whole(archive, self.member(archive, name), read)


def _whole(archive: Path, member: zipfile.ZipInfo, way: Callable[[Path, zipfile.ZipInfo], bytes]) -> bytes:
    try:
        return way(archive, member)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        fix = "Do not use this file; choose another version"
        raise UserError(Problem(what=f"{archive.name} cannot be read: {error}", fix=fix)) from error


def directory(archive: Path) -> list[zipfile.ZipInfo]:
    """The members, in the order of the archive's directory.

    Raises:
        BadZipFile: it is no zip.
    """
    with zipfile.ZipFile(archive) as opened:
        return opened.infolist()


def read(archive: Path, member: zipfile.ZipInfo) -> bytes:
    """The content of a member; never more than its directory says, whatever the stream would give.

    Raises:
        BadZipFile: it is something else than its directory says.
        NotImplementedError: it is encrypted, or compressed in a way that Python does not know.
    """
    data = raw(archive, member)
    if member.compress_type == DEFLATED:
        data = _inflated(data, member)
    elif member.compress_type != STORED:
        return _by_zipfile(archive, member)
    if len(data) != member.file_size or zlib_ng.crc32(data) != member.CRC:
        raise zipfile.BadZipFile(f"{member.filename} is not what its directory says (CRC-32, size)")
    return data


def _by_zipfile(archive: Path, member: zipfile.ZipInfo) -> bytes:
    """A member compressed in a way that hardly any wheel uses."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.read(member)
    except (NotImplementedError, RuntimeError, EOFError) as error:
        raise NotImplementedError(f"{member.filename}: {error}") from error


def raw(archive: Path, member: zipfile.ZipInfo) -> bytes:
    """The bytes of a member as they stand there. Lengths are the directory's: a local header may leave them out.

    Raises:
        BadZipFile: they are not there, or belong to another member.
        NotImplementedError: they are encrypted.
    """
    if member.flag_bits & _ENCRYPTED:
        raise NotImplementedError(f"{member.filename} is encrypted")
    opened = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
    try:
        head = os.pread(opened, _LOCAL.size, member.header_offset)
        if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
            raise zipfile.BadZipFile(f"{member.filename} is not where its directory says")
        length, extra = struct.unpack_from("<2H", head, 26)
        at = member.header_offset + _LOCAL.size
        named = os.pread(opened, length, at)
        data = os.pread(opened, member.compress_size, at + length + extra)
    finally:
        os.close(opened)
    if named != member.orig_filename.encode("utf-8" if member.flag_bits & _UTF8 else "cp437"):
        raise zipfile.BadZipFile(f"{member.filename} has another name in its own header")
    if len(data) != member.compress_size:
        raise zipfile.BadZipFile(f"{member.filename} is cut off")
    return data


def _inflated(data: bytes, member: zipfile.ZipInfo) -> bytes:
    if member.file_size == 0:
        return b""
    try:
        return bytes(zlib_ng.decompressobj(-15).decompress(data, member.file_size))
    except zlib_ng.error as error:  # type: ignore[misc]  # its stub calls the class a value
        raise zipfile.BadZipFile(f"{member.filename}: {error}") from error

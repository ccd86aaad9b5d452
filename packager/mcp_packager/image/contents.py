"""What is really in a layer: read once, for the hash of its bytes, of the tar inside, and the distributions in it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from zlib_ng import zlib_ng

from mcp_packager.image.layering import ROOT

_MOST: Final = 1024 * 1024
_GZIP: Final = 31  # zlib's window bits for a gzip member
_DISTRIBUTION: Final = re.compile(
    rf"(?:\./)?{re.escape(ROOT)}lib/(?P<name>[^/]+?)-(?P<version>[^/-]+)\.dist-info/METADATA"
)


@dataclass(frozen=True, slots=True)
class Contents:
    """One layer as it came. ``diff_id`` is ``None`` where its compression is not known here, or nothing is readable.

    ``distributions`` are canonical names and versions of those in the bundle's library.
    """

    digest: str
    size: int
    diff_id: str | None
    distributions: frozenset[tuple[str, str]] = frozenset()
    readable: bool = True


def read(chunks: Iterator[bytes], media_type: str) -> Contents:
    """Read a layer's blob to its end, in bounded memory. Errors of ``chunks`` pass."""
    outside = _Counted(chunks)
    if media_type.endswith(("+gzip", ".gzip")):
        inside = _Hashed(_inflated(outside))
    elif media_type.endswith(".tar"):
        inside = _Hashed(outside)
    else:
        _drain(outside)
        return Contents(outside.digest, outside.size, None)
    try:
        found = frozenset(_distributions(inside))
        while inside.read(_MOST):
            pass
    except (zlib_ng.error, tarfile.TarError, EOFError):  # type: ignore[misc]  # its stub calls the class a value
        _drain(outside)
        return Contents(outside.digest, outside.size, None, readable=False)
    return Contents(outside.digest, outside.size, inside.digest, found)


def _drain(chunks: Iterator[bytes]) -> None:
    for _ in chunks:
        pass


def canonical(name: str, version: str) -> tuple[str, str]:
    """Name and version as one compares them (PEP 503, PEP 440)."""
    from packaging.version import InvalidVersion, Version

    with contextlib.suppress(InvalidVersion):
        version = str(Version(version))
    return re.sub(r"[-_.]+", "-", name).lower(), version


def _distributions(inside: _Hashed) -> Iterator[tuple[str, str]]:
    with tarfile.open(fileobj=inside, mode="r|", bufsize=_MOST) as archive:
        for member in archive:
            if match := _DISTRIBUTION.fullmatch(member.name):
                yield canonical(match["name"], match["version"])
            archive.members = []  # type: ignore[attr-defined]  # it would keep every header, and has no other word for it


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Every member of a gzip stream, in pieces that stay small whatever is inside."""
    making = zlib_ng.decompressobj(_GZIP)
    for chunk in chunks:
        data = chunk
        while data:
            if making.eof:
                making = zlib_ng.decompressobj(_GZIP)
            yield making.decompress(data, _MOST)
            data = making.unused_data if making.eof else making.unconsumed_tail
    if not making.eof:
        raise EOFError


class _Counted(Iterator[bytes]):
    """Chunks on their way through, hashed and counted."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._hash = hashlib.sha256()
        self.size = 0

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self._hash.update(chunk)
        self.size += len(chunk)
        return chunk

    @property
    def digest(self) -> str:
        """``sha256:…`` of what went through."""
        return f"sha256:{self._hash.hexdigest()}"


class _Hashed(io.RawIOBase):
    """A tar stream to read from, hashed on the way."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._hash = hashlib.sha256()
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes; nothing at the end."""
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                return b""
            self._hash.update(self._rest)
        taken, self._rest = (self._rest[:size], self._rest[size:]) if size >= 0 else (self._rest, b"")
        return taken

    @property
    def digest(self) -> str:
        """``sha256:…`` of what was read."""
        return f"sha256:{self._hash.hexdigest()}"

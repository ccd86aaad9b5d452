"""A bundle as image layers, in order of change: dependencies, the runtime, the author's code.

A layer is made once for its entries and compressor, and kept in the store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcp_packager.bundle import Archives, Bundle, Entry, content
from mcp_packager.errors import Problem, WorldError
from mcp_packager.image import compress, tar
from mcp_packager.store import Store, Stored, StoredFile

ROOT: Final = "opt/mcp-tool/"
"""Where the bundle lies in an image."""

LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_KIND: Final = "layers"
_BLOB: Final = "layer.tar.gz"
_PIECE: Final = 8 * 1024 * 1024
_SIDE_BY_SIDE: Final = 2
_RUNTIME: Final = ("lib/mcp_tool/", "lib/mcp_tool_runtime-")


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: what it is for, its compressed blob, and the hash of the tar inside it.

    ``digest`` and ``diff_id`` are ``sha256:…``; ``size`` is the blob's, in bytes. ``path`` is ``None`` for a layer of
    a base image that is only named.
    """

    name: str
    digest: str
    size: int
    diff_id: str
    path: Path | None = None
    media_type: str = LAYER


def layers(bundle: Bundle, store: Store | None = None) -> tuple[Layer, ...]:
    """The bundle's layers, those without entries left out.

    Raises:
        UserError: a file of the author's changed since the bundle was put together.
        WorldError: the store cannot be written.
    """
    shared = store or Store()
    parts: dict[str, list[Entry]] = {"dependencies": [], "runtime": [], "code": []}
    for entry in bundle.entries:
        parts[_part(entry.path)].append(entry)
    return tuple(_layer(name, entries, shared) for name, entries in parts.items() if entries)


def _part(path: str) -> str:
    if path.startswith(_RUNTIME):
        return "runtime"
    return "dependencies" if path.startswith("lib/") else "code"


def _layer(name: str, entries: Sequence[Entry], store: Store) -> Layer:
    identity = hashlib.sha256(f"layer 1\0{compress.COMPRESSOR}\0{ROOT}\n".encode())
    for entry in entries:
        identity.update(f"{entry.path}\0{entry.mode:o}\0{entry.size}\0{entry.sha256}\n".encode())
    key = identity.hexdigest()
    kept = store.find(_KIND, key)
    known = store.record(_KIND, key)
    if kept is None or known is None:
        made: dict[str, str] = {}
        kept = store.folder(_KIND, key, lambda target: [_write(_pieces(entries), target, made)])
        if made:
            store.remember(_KIND, key, made)
        known = made or store.record(_KIND, key) or {"diff_id": _diff_id(kept.folder / _BLOB)}
    (blob,) = kept.files
    return Layer(name, f"sha256:{blob.sha256}", blob.size, known["diff_id"], kept.folder / _BLOB)


def copied(diff_id: str, chunks: Callable[[], Iterator[bytes]], store: Store) -> Layer:
    """A layer of somebody else's, by the hash of its tar; ``chunks`` reads that tar where the layer is not kept yet.

    Raises:
        WorldError: what is read is another tar, or the store cannot be written.
    """

    def make(target: Path) -> list[StoredFile]:
        made: dict[str, str] = {}
        file = _write(_even(chunks()), target, made)
        if made["diff_id"] != diff_id:
            raise WorldError(Problem(f"{diff_id} is another layer than its image says", "build the image below again"))
        return [file]

    return _copy(diff_id, store.folder(_KIND, _copy_key(diff_id), make))


def known(diff_id: str, store: Store) -> Layer | None:
    """A layer that :func:`copied` made before, where it is still kept."""
    kept = store.find(_KIND, _copy_key(diff_id))
    return None if kept is None else _copy(diff_id, kept)


def _copy(diff_id: str, kept: Stored) -> Layer:
    (blob,) = kept.files
    return Layer("base", f"sha256:{blob.sha256}", blob.size, diff_id, kept.folder / _BLOB)


def _copy_key(diff_id: str) -> str:
    return hashlib.sha256(f"copy 1\0{compress.COMPRESSOR}\0{diff_id}\n".encode()).hexdigest()


def _even(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces whose ends depend on nothing but where they are."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= _PIECE:
            yield bytes(held[:_PIECE])
            del held[:_PIECE]
    yield bytes(held)


def _write(pieces: Iterator[bytes], target: Path, made: dict[str, str]) -> StoredFile:
    """Write the blob; ``made`` gets the hash of the tar inside."""
    inside, outside = hashlib.sha256(), hashlib.sha256()
    crc = size = written = 0
    with (target / _BLOB).open("wb") as blob, ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:

        def put(data: bytes) -> None:
            nonlocal written
            outside.update(data)
            blob.write(data)
            written += len(data)

        put(compress.HEAD)
        # One piece more than threads is on its way: reading, deflating and hashing overlap, memory stays bounded.
        waiting = []
        for piece in pieces:
            waiting.append((piece, pool.submit(compress.deflated, piece)))
            inside.update(piece)
            crc, size = compress.checksum(piece, crc), size + len(piece)
            if len(waiting) > _SIDE_BY_SIDE:
                put(waiting.pop(0)[1].result())
        for _, done in waiting:
            put(done.result())
        put(compress.tail(crc, size))
    made["diff_id"] = f"sha256:{inside.hexdigest()}"
    return StoredFile(_BLOB, outside.hexdigest(), written)


def _pieces(entries: Sequence[Entry]) -> Iterator[bytes]:
    """The tar in pieces of about eight MiB; where they end depends on the entries alone."""
    archives = Archives()
    chunks = [tar.folder(item.path) for item in tar.folders([ROOT + entry.path for entry in entries])]
    held = sum(map(len, chunks))
    for entry in entries:
        data = content(entry, archives)
        chunks += (tar.head(ROOT + entry.path, entry.mode, len(data)), data, tar.padding(len(data)))
        held += len(data)
        if held >= _PIECE:
            yield b"".join(chunks)
            chunks, held = [], 0
    yield b"".join((*chunks, tar.END))


def _diff_id(blob: Path) -> str:
    """The hash of a layer's tar, for a blob whose record was lost."""
    import gzip

    with gzip.open(blob, "rb") as inside:
        return f"sha256:{hashlib.file_digest(inside, 'sha256').hexdigest()}"

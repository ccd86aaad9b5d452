"""An image as files: an OCI layout, and the archive that `docker load` reads (it refuses the other)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mcp_packager.files import remove_tree, writing
from mcp_packager.image import bases, tar
from mcp_packager.image.documents import Image, digest_of_bytes, index
from mcp_packager.image.layering import Layer
from mcp_packager.image.registry import INDEX, MANIFEST
from mcp_packager.store import Store

_LAYOUT: Final = b'{"imageLayoutVersion":"1.0.0"}'
REF_NAME: Final = "org.opencontainers.image.ref.name"


def write_layout(
    images: Sequence[Image],
    folder: Path,
    name: str,
    *,
    environ: Mapping[str, str] = os.environ,
    store: Store | None = None,
) -> None:
    """Write an OCI image layout (image specification 1.1, image-layout.md) as ``folder``; ``name`` is its tag.

    Blobs of the store are hard-linked where the file system allows.

    Raises:
        WorldError: the system does not let it be written, or a layer of the base cannot be fetched.
    """
    from mcp_packager.files import link_or_copy

    shared = store or Store()
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.{os.urandom(4).hex()}")
    with writing(folder):
        try:
            blobs = fresh / "blobs" / "sha256"
            blobs.mkdir(parents=True)
            for one in images:
                for digest, data in ((one.digest, one.manifest), (one.config_digest, one.config)):
                    _blob(blobs, digest).write_bytes(data)
                for layer in one.every_layer:
                    if not _blob(blobs, layer.digest).exists():
                        link_or_copy(_file(one, layer, environ, shared), _blob(blobs, layer.digest))
            data, media_type = (images[0].manifest, MANIFEST) if len(images) == 1 else (index(images), INDEX)
            _blob(blobs, digest_of_bytes(data)).write_bytes(data)
            (fresh / "oci-layout").write_bytes(_LAYOUT)
            (fresh / "index.json").write_bytes(_top(data, media_type, name))
            remove_tree(folder)
            fresh.rename(folder)
        finally:
            remove_tree(fresh)


def docker_archive(layout: Path, names: Sequence[str], image: str | None = None) -> Iterator[bytes]:
    """What ``docker load`` reads (Docker's image specification 1.2), made of one image of a layout, in chunks.

    ``names`` are ``repository:tag``. Layers go in as they are, compressed: Docker reads those too. ``image`` is the
    digest of the configuration of the one that is meant, the first by default.

    Raises:
        OSError, ValueError, KeyError: the layout cannot be read, or has no such image.
    """
    blobs = layout / "blobs" / "sha256"
    found = {manifest["config"]["digest"]: manifest for manifest in manifests(layout)}
    config = image or next(iter(found))
    layers = [_blob(blobs, item["digest"]) for item in found[config]["layers"]]
    yield from archive(config, _blob(blobs, config).read_bytes(), layers, names)


def manifests(layout: Path) -> list[dict[str, Any]]:
    """The manifests of a layout: one, or those that its index names.

    Raises:
        OSError, ValueError, KeyError: it cannot be read.
    """
    blobs = layout / "blobs" / "sha256"
    (top,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    document = json.loads(_blob(blobs, top["digest"]).read_bytes())
    if "manifests" not in document:
        return [document]
    return [json.loads(_blob(blobs, item["digest"]).read_bytes()) for item in document["manifests"]]


def archive(config: str, text: bytes, layers: Sequence[Path], names: Sequence[str]) -> Iterator[bytes]:
    """The same of an image's parts: the digest and the bytes of its configuration, and the files of its layers.

    Raises:
        OSError: a layer cannot be read.
    """
    # An image may have the same layer twice.
    files = {path: f"{number}.tar.gz" for number, path in enumerate(dict.fromkeys(layers))}
    document = [{"Config": f"{_hex(config)}.json", "RepoTags": list(names), "Layers": [files[one] for one in layers]}]
    yield tar.member(f"{_hex(config)}.json", 0o644, text)
    for path, name in files.items():
        size = path.stat().st_size
        yield tar.head(name, 0o644, size)
        yield from _chunks(path)
        yield tar.padding(size)
    yield tar.member("manifest.json", 0o644, json.dumps(document, separators=(",", ":")).encode())
    yield tar.END


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _file(image: Image, layer: Layer, environ: Mapping[str, str], store: Store) -> Path:
    return layer.path or bases.fetched(image.base, layer, environ=environ, store=store)


def _blob(blobs: Path, digest: str) -> Path:
    return blobs / _hex(digest)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as handle:
        while chunk := handle.read(1024 * 1024):
            yield chunk


def _top(data: bytes, media_type: str, name: str) -> bytes:
    entry: dict[str, Any] = {
        "mediaType": media_type,
        "digest": digest_of_bytes(data),
        "size": len(data),
        "annotations": {REF_NAME: name},
    }
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}, sort_keys=True).encode()

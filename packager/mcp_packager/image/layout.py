"""An OCI layout as images again, from its files alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_packager.errors import Place, Problem, UserError
from mcp_packager.image.archive import REF_NAME
from mcp_packager.image.bases import Base
from mcp_packager.image.documents import MADE_BY, Image, digest_of_bytes
from mcp_packager.image.layering import Layer
from mcp_packager.image.reference import mirrored, parse
from mcp_packager.image.registry import INDEX

_BASE_NAME = "org.opencontainers.image.base.name"
_BASE_DIGEST = "org.opencontainers.image.base.digest"


@dataclass(frozen=True)
class Layout:
    """What a layout holds: the digest that names all of it, its tag, and the image of each architecture."""

    digest: str
    tag: str
    images: tuple[Image, ...]


def read_layout(folder: Path, *, environ: Mapping[str, str] = os.environ) -> Layout:
    """The images of a layout that ``write_layout`` wrote, whoever moved it since.

    Manifests and configurations are held against their digests; layers are, by whoever takes them.

    Raises:
        UserError: it is none, it is damaged, or files are missing.
    """
    try:
        (top,) = json.loads((folder / "index.json").read_bytes())["manifests"]
        digest = top["digest"]
        document = json.loads(_bytes(folder, digest))
        entries = [item["digest"] for item in document["manifests"]] if top["mediaType"] == INDEX else [digest]
        images = tuple(_image(folder, entry, environ) for entry in entries)
        return Layout(digest, top["annotations"][REF_NAME], images)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, str(error) or type(error).__name__) from error


def _image(folder: Path, digest: str, environ: Mapping[str, str]) -> Image:
    manifest = _bytes(folder, digest)
    document = json.loads(manifest)
    config = _bytes(folder, document["config"]["digest"])
    said = json.loads(config)
    own = [item.get("comment", "") for item in said["history"] if item.get("created_by") == MADE_BY]
    every = [
        _layer(folder, item, diff_id)
        for item, diff_id in zip(document["layers"], said["rootfs"]["diff_ids"], strict=True)
    ]
    below = len(every) - len(own)
    notes: dict[str, str] = document["annotations"]
    name = parse(f"{notes[_BASE_NAME]}@{notes[_BASE_DIGEST]}", key="base")
    base = Base(name, mirrored(name, environ), said["architecture"], {}, tuple(every[:below]))
    made = tuple(
        Layer(name, one.digest, one.size, one.diff_id, one.path, one.media_type)
        for name, one in zip(own, every[below:], strict=True)
    )
    for layer in made:
        if layer.path is None:
            raise FileNotFoundError(f"{layer.digest} is missing")
    return Image(base.architecture, base, made, config, manifest)


def _layer(folder: Path, item: dict[str, Any], diff_id: str) -> Layer:
    path = _file(folder, item["digest"])
    return Layer("base", item["digest"], item["size"], diff_id, path if path.exists() else None, item["mediaType"])


def _bytes(folder: Path, digest: str) -> bytes:
    data = _file(folder, digest).read_bytes()
    if digest_of_bytes(data) != digest:
        raise ValueError(f"{digest} is another one")
    return data


def _file(folder: Path, digest: str) -> Path:
    algorithm, _, name = digest.partition(":")
    if algorithm != "sha256" or len(name) != 64 or not name.isalnum():
        raise ValueError(f"{digest!r} is no digest")
    return folder / "blobs" / "sha256" / name


def _damaged(folder: Path, why: str) -> UserError:
    return UserError(Problem(f"the image in {folder} cannot be read: {why}", "build it again", Place(str(folder))))

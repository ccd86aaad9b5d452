"""The image that a tool's layers stand on: found by name once, then by digest for ever."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mcp_packager.errors import Problem, UserError, WorldError
from mcp_packager.image.layering import Layer
from mcp_packager.image.reference import Reference, mirrored
from mcp_packager.image.registry import Manifest, Registry
from mcp_packager.store import Store, StoredFile

_KIND: Final = "image-documents"
_SYSTEM: Final = "linux"
_BLOB: Final = "blob"


@dataclass(frozen=True)
class Base:
    """A base image for one architecture.

    ``reference`` is by digest and as its author names it; ``source`` is where it was read, which a mirror may change.
    ``architecture`` is OCI's word, such as ``amd64``. ``config`` is its configuration document, ``config_digest`` that
    document's digest.
    """

    reference: Reference
    source: Reference
    architecture: str
    config: Mapping[str, Any]
    layers: tuple[Layer, ...]
    config_digest: str = ""


def digest_of(reference: Reference, *, environ: Mapping[str, str] = os.environ) -> str:
    """What an image's tag means now: the digest of its index or manifest.

    Raises:
        UserError: there is no such image.
        WorldError: its registry cannot be reached.
    """
    place = mirrored(reference, environ)
    found = Registry(place, environ=environ).manifest(place.wanted)
    if found is None:
        raise _missing(reference, place)
    return found.digest


def base(
    reference: Reference,
    architecture: str,
    *,
    environ: Mapping[str, str] = os.environ,
    store: Store | None = None,
) -> Base:
    """The base image for an architecture. What its digest names is kept, so a second time asks nobody.

    Raises:
        UserError: there is no such image, or not for that architecture.
        WorldError: its registry cannot be reached, or gives something else.
    """
    shared = store or Store()
    registry, top = _top(reference, environ, shared)
    place = registry.reference
    image = _of(top, architecture, registry, shared, reference) if top.is_index else top
    document = image.document
    config_digest = document["config"]["digest"]
    config = json.loads(_config(registry, config_digest, shared))
    if top is image and config.get("architecture") != architecture:
        raise _not_for(reference, architecture, [str(config.get("architecture"))])
    diff_ids = config["rootfs"]["diff_ids"]
    layers = tuple(
        Layer("base", item["digest"], item["size"], diff_id, media_type=item["mediaType"])
        for item, diff_id in zip(document["layers"], diff_ids, strict=True)
    )
    return Base(reference.at(top.digest), place.at(top.digest), architecture, config, layers, config_digest)


def architectures(
    reference: Reference, *, environ: Mapping[str, str] = os.environ, store: Store | None = None
) -> tuple[str, ...]:
    """The architectures that an image is there for, sorted.

    Raises:
        UserError: there is no such image, or none for Linux.
        WorldError: its registry cannot be reached, or gives something else.
    """
    shared = store or Store()
    registry, top = _top(reference, environ, shared)
    if not top.is_index:
        config = json.loads(_config(registry, top.document["config"]["digest"], shared))
        return (str(config.get("architecture")),)
    found = {str(item["platform"].get("architecture")) for item in _entries(top)} - {"unknown"}
    if not found:
        raise _not_for(reference, "any architecture", [])
    return tuple(sorted(found))


def config_of(base: Base, *, environ: Mapping[str, str] = os.environ, store: Store | None = None) -> str:
    """The bytes of an image's configuration, as text.

    Raises:
        WorldError: the registry cannot be reached, or gives something else.
    """
    return _config(Registry(base.source, environ=environ), base.config_digest, store or Store())


def _top(reference: Reference, environ: Mapping[str, str], store: Store) -> tuple[Registry, Manifest]:
    """What a name means, and the repository that it was found in."""
    place = mirrored(reference, environ)
    registry = Registry(place, environ=environ)
    top = _manifest(registry, place.wanted, store)
    if top is None:
        raise _missing(reference, place)
    return registry, top


def _entries(top: Manifest) -> list[dict[str, Any]]:
    return [item for item in top.document["manifests"] if item.get("platform", {}).get("os") == _SYSTEM]


def _of(top: Manifest, architecture: str, registry: Registry, store: Store, reference: Reference) -> Manifest:
    entries = _entries(top)
    for item in entries:
        if item["platform"].get("architecture") == architecture:
            found = _manifest(registry, item["digest"], store)
            if found is not None:
                return found
    raise _not_for(reference, architecture, [str(item["platform"].get("architecture")) for item in entries])


def _manifest(registry: Registry, wanted: str, store: Store) -> Manifest | None:
    """By digest from the store where it is known; what a tag means is asked each time."""
    known = store.record(_KIND, wanted.removeprefix("sha256:")) if wanted.startswith("sha256:") else None
    if known is not None and _is(known["text"], wanted):
        return Manifest(wanted, known["media_type"], known["text"].encode())
    found = registry.manifest(wanted)
    if found is not None:
        kept = {"media_type": found.media_type, "text": found.data.decode()}
        store.remember(_KIND, found.digest.removeprefix("sha256:"), kept)
    return found


def _config(registry: Registry, digest: str, store: Store) -> str:
    known = store.record(_KIND, digest.removeprefix("sha256:"))
    if known is None or not _is(known["text"], digest):
        known = {"text": registry.small_blob(digest).decode()}
        store.remember(_KIND, digest.removeprefix("sha256:"), known)
    text: str = known["text"]
    return text


def _is(text: str, digest: str) -> bool:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" == digest


def fetched(base: Base, layer: Layer, *, environ: Mapping[str, str] = os.environ, store: Store | None = None) -> Path:
    """A layer of the base as a file of the store, fetched where it is not there yet.

    Raises:
        WorldError: the registry cannot be reached, or gives something else.
    """
    shared = store or Store()
    registry = Registry(base.source, environ=environ)

    def fetch(target: Path) -> list[StoredFile]:
        found, size = hashlib.sha256(), 0
        with (target / _BLOB).open("wb") as handle:
            for chunk in registry.blob(layer.digest):
                found.update(chunk)
                handle.write(chunk)
                size += len(chunk)
        if f"sha256:{found.hexdigest()}" != layer.digest:
            raise WorldError(
                Problem(
                    f"{base.source.registry} gave something else than {layer.digest}", "try again; else ask its owner"
                )
            )
        return [StoredFile(_BLOB, found.hexdigest(), size)]

    return shared.folder("blobs", layer.digest.removeprefix("sha256:"), fetch).folder / _BLOB


def _missing(reference: Reference, place: Reference) -> UserError:
    asked = "" if place == reference else f" (asked for as {place})"
    return UserError(Problem(f"there is no image {reference}{asked}", "check its name and tag"))


def _not_for(reference: Reference, architecture: str, there: list[str]) -> UserError:
    return UserError(
        Problem(
            f"{reference} is not for {_SYSTEM}/{architecture}",
            "choose another base, or leave that architecture out",
            found=", ".join(sorted(set(there) - {"unknown"})) or "none",
        )
    )

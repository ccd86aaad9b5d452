"""An image that is in a registry already: what its documents say, and its files for whoever runs it."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_packager.errors import Problem, UserError, WorldError
from mcp_packager.image import bases
from mcp_packager.image.archive import archive
from mcp_packager.image.assembling import CONTRACT_LABEL
from mcp_packager.image.bases import Base
from mcp_packager.image.documents import MADE_BY
from mcp_packager.image.layering import ROOT, Layer
from mcp_packager.image.reference import Reference
from mcp_packager.store import Store

_CODE: Final = "code"
_CONTRACT: Final = f"{ROOT}contract.json"
_VERSION: Final = "org.opencontainers.image.version"
_NAME: Final = "io.modelcontextprotocol.server.name"


@dataclass(frozen=True)
class Found:
    """An image in a registry, by digest, for each architecture that it is for.

    ``images`` are by OCI's word for the architecture; ``size`` counts the bytes of all layers.
    """

    reference: Reference
    images: Mapping[str, Base]

    @property
    def size(self) -> int:
        """Bytes of all layers, each counted once."""
        return sum({layer.digest: layer.size for one in self.images.values() for layer in one.layers}.values())

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the first image: those that mcp-pack makes and that are read here are alike in all of them."""
        first = next(iter(self.images.values()))
        return (first.config.get("config") or {}).get("Labels") or {}

    @property
    def tool(self) -> str | None:
        """The tool's name as the image says it; ``None`` where it says none."""
        return self.labels.get(_NAME)

    @property
    def version(self) -> str | None:
        """The tool's version as the image says it; ``None`` where it says none."""
        return self.labels.get(_VERSION)

    @property
    def contract_hash(self) -> str | None:
        """The hash of the contract inside; ``None`` for an image that mcp-pack did not make."""
        return self.labels.get(CONTRACT_LABEL)


def find(reference: Reference, *, environ: Mapping[str, str] = os.environ, store: Store | None = None) -> Found:
    """What a registry has under a digest. Manifests and configurations are read, no layer.

    Raises:
        UserError: there is no such image, or we are not let in.
        WorldError: the registry cannot be reached, or gives something else.
    """
    names = bases.architectures(reference, environ=environ, store=store)
    return Found(reference, {name: bases.base(reference, name, environ=environ, store=store) for name in names})


def contract_in(
    found: Found, *, environ: Mapping[str, str] = os.environ, store: Store | None = None
) -> Mapping[str, Any] | None:
    """The contract document inside an image that mcp-pack made; ``None`` for any other image.

    Raises:
        WorldError: the registry cannot be reached, or the image is not what its label says.
    """
    if found.contract_hash is None:
        return None
    one = next(iter(found.images.values()))
    for layer in _code(one):
        path = bases.fetched(one, layer, environ=environ, store=store)
        with tarfile.open(path) as inside:
            try:
                member = inside.extractfile(_CONTRACT)
            except KeyError:
                continue
            document: Mapping[str, Any] = json.loads(member.read() if member else b"{}")
        if document.get("hash") == found.contract_hash:
            return document
    raise WorldError(
        Problem(
            f"{found.reference} does not hold the contract that its label names",
            "build and push it again with mcp-pack build --push",
        )
    )


def fetched_archive(
    found: Found, config: str, name: str, *, environ: Mapping[str, str] = os.environ, store: Store | None = None
) -> Iterator[bytes]:
    """What ``docker load`` reads, of the image whose configuration has the digest ``config``; layers are fetched.

    Raises:
        UserError: the image is not among those found.
        WorldError: the registry cannot be reached, or gives something else.
    """
    for one in found.images.values():
        if one.config_digest == config:
            text = bases.config_of(one, environ=environ, store=store)
            paths = [bases.fetched(one, layer, environ=environ, store=store) for layer in one.layers]
            return archive(config, text.encode(), paths, [name])
    raise UserError(Problem(f"{found.reference} does not hold the image {config[7:19]}", "deploy that digest again"))


def _code(one: Base) -> Iterator[Layer]:
    """The layers that hold documents of the bundle's, as the history of the image tells."""
    history = [item for item in one.config.get("history") or () if not item.get("empty_layer")]
    for layer, made in zip(one.layers, history, strict=False):
        if made.get("created_by") == MADE_BY and made.get("comment") == _CODE:
            yield layer

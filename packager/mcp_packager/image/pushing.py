"""An image into a registry: what is there is not sent again, and what is sent goes side by side.

In a row stand only: is the blob there, where may it go, the blob, the manifest. What this machine put into a repository
is remembered, so that an edit's push sends the changed layer, the configuration and the manifest without asking.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mcp_packager.errors import WorldError
from mcp_packager.image import bases
from mcp_packager.image.documents import Image, index
from mcp_packager.image.layering import Layer
from mcp_packager.image.reference import Reference
from mcp_packager.image.registry import INDEX, MANIFEST, Blob, Registry
from mcp_packager.store import Store

_AT_ONCE = 8
_SENT_UNASKED = 256 * 1024
"""Blobs smaller than this are sent without asking whether they are there: the answer takes as long."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push left: the reference by digest, and how many blobs and bytes went up.

    ``documents`` counts what was attached beside it; ``signed`` says whether with a key.
    """

    reference: Reference
    blobs: int
    bytes: int
    documents: int = 0
    signed: bool = False


def push(
    images: Sequence[Image],
    target: Reference,
    *,
    environ: Mapping[str, str] = os.environ,
    store: Store | None = None,
) -> Pushed:
    """Put an image, or an index over several, under the target's tag.

    Raises:
        UserError: we may not push there, or the tag must not change.
        WorldError: the registry cannot be reached, or refuses.
    """
    return _Push(images, target, environ, store or Store()).go()


class _Push:
    """One push at work."""

    def __init__(self, images: Sequence[Image], target: Reference, environ: Mapping[str, str], store: Store) -> None:
        self._images = images
        self._target = target
        self._environ = environ
        self._store = store
        self._registry = Registry(target, environ=environ)
        self._sent: list[int] = []
        if len(images) == 1:
            self._top, self._type = images[0].manifest, MANIFEST
        else:
            self._top, self._type = index(images), INDEX
        self._digest = f"sha256:{hashlib.sha256(self._top).hexdigest()}"

    def go(self) -> Pushed:
        if not self._there():
            try:
                self._all(trusting=True)
            except WorldError as error:
                # The registry may have dropped what this machine remembers having sent.
                if "UNKNOWN" not in str(error.problems[0].found):
                    raise
                self._all(trusting=False)
            self._note(self._target.tag or self._digest, self._digest)
        return Pushed(self._target.at(self._digest), len(self._sent), sum(self._sent))

    def _there(self) -> bool:
        """Whether the very same image is under the tag already, as far as this machine put it there."""
        tag = self._target.tag or self._digest
        if self._noted(tag) != self._digest:
            return False
        found = self._registry.manifest(tag, pushing=True)
        return found is not None and found.digest == self._digest

    def _all(self, *, trusting: bool) -> None:
        blobs: dict[str, tuple[Image, Layer | None]] = {}
        for one in self._images:
            blobs[one.config_digest] = (one, None)
            blobs.update({layer.digest: (one, layer) for layer in one.every_layer})
        wanted = [digest for digest in blobs if not (trusting and self._noted(digest))]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda digest: self._blob(digest, *blobs[digest]), wanted))
            if len(self._images) > 1:
                list(pool.map(lambda one: self._registry.put_manifest(one.manifest, MANIFEST), self._images))
        self._registry.put_manifest(self._top, self._type, self._target.tag)

    def _blob(self, digest: str, image: Image, layer: Layer | None) -> None:
        if layer is None:
            self._send(Blob(digest, len(image.config), image.config))
        elif layer in image.layers and layer.path is not None:
            if layer.size < _SENT_UNASKED or not self._registry.has(digest):
                self._send(Blob(digest, layer.size, layer.path))
        elif not self._registry.has(digest):
            self._of_base(image, layer)
        self._note(digest, digest)

    def _of_base(self, image: Image, layer: Layer) -> None:
        """Have the registry take a layer of the base from its own repository, else bring it there."""
        source = image.base.source
        if source.registry == self._target.registry and self._registry.mounted(layer.digest, source.repository):
            return
        path = layer.path or bases.fetched(image.base, layer, environ=self._environ, store=self._store)
        self._send(Blob(layer.digest, layer.size, path))

    def _send(self, blob: Blob) -> None:
        self._registry.put_blob(blob)
        self._sent.append(blob.size)

    def _noted(self, name: str) -> str | None:
        known = self._store.record("pushed", self._key(name))
        return known["digest"] if known else None

    def _note(self, name: str, digest: str) -> None:
        self._store.remember("pushed", self._key(name), {"digest": digest})

    def _key(self, name: str) -> str:
        place = f"{self._target.registry}/{self._target.repository}"
        return hashlib.sha256(f"{place}\0{name}".encode()).hexdigest()

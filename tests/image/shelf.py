"""A registry whose files a test may spoil, with images that are signed, and what verifying finds of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_packager.image import Image, Reference, Registry, attach, signer
from mcp_packager.image.ingredients import Source
from mcp_packager.image.judging import Held
from mcp_packager.image.referrers import Subject
from mcp_packager.image.registry import MANIFEST
from mcp_packager.image.signing import public_key
from mcp_packager.image.verifying import Requirement, Verified, verify
from mcp_packager.store import Store
from tests.image.attached import COMMIT, Keys, ingredients, pushed

EVERY = frozenset(Requirement)


@dataclass(frozen=True)
class Shelf:
    """A registry whose files a test may spoil, and the keys of those who sign."""

    address: str
    folder: Path
    keys: Keys

    def file(self, digest: str) -> Path:
        (found,) = (self.folder / "data").rglob(f"blobs/sha256/*/{digest[7:]}/data")
        return found

    def spoil(self, digest: str) -> None:
        """Other bytes of the same length under a digest: what a broken disk or a bad operator leaves."""
        file = self.file(digest)
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)

    def signed(self, name: str, store: Store, *architectures: str) -> tuple[list[Image], Reference]:
        images, target = pushed(self.address, f"team/{name}", store, *architectures)
        made = ingredients(*architectures, source=Source(COMMIT))
        attach(images, target, made, key=signer(str(self.keys.private)), store=store)
        return images, target

    def look(self, target: Reference, *require: Requirement, key: bool = True) -> Verified:
        keys = [public_key(str(self.keys.public))] if key else []
        return verify(target, keys=keys, require=frozenset(require))


def results(found: Verified) -> dict[str, str]:
    return {item.about: item.held.value for item in found.findings}


def failures(found: Verified) -> dict[str, str]:
    return {item.about: item.said for item in found.findings if item.held is Held.FAILS}


def pieces(target: Reference, one: Image, name: str) -> list[Mapping[str, Any]]:
    """The layers under one of cosign's tags."""
    found = Registry(target).manifest(subject_of(one).tagged(name))
    assert found is not None
    layers: list[Mapping[str, Any]] = found.document["layers"]
    return layers


def subject_of(one: Image) -> Subject:
    return Subject(one.digest, MANIFEST, len(one.manifest))

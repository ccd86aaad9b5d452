"""Images with what is said about them: enough ingredients to make bill and provenance of, and keys to sign with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from mcp_packager.image import (
    Image,
    Ingredients,
    Reference,
    Registry,
    Settings,
    base,
    image,
    layers,
    parse,
    push,
    referrers,
)
from mcp_packager.image.ingredients import Component, Source
from mcp_packager.image.referrers import NOTHING, Artifact, Subject, put_manifest, put_piece
from mcp_packager.store import Store
from tests.image.bundles import FILES, bundle, push_base

COMMIT = "a" * 40
DISTRIBUTIONS: Mapping[str, bytes] = {
    **FILES,
    "lib/attrs-26.1.0.dist-info/METADATA": b"Name: attrs\n",
}
"""A library with two distributions: the runtime, and one with a wheel of its own for each machine."""


def ingredients(*architectures: str, source: Source | None = None) -> Ingredients:
    return Ingredients(
        "word-tools",
        "1.0.0",
        "tool",
        "3.13",
        "Counts words",
        {
            one: (
                Component("attrs", "26.1.0", f"attrs-26.1.0-cp313-cp313-{one}.whl", f"{number}" * 64),
                Component("mcp-tool-runtime", "0.1.0", "mcp_tool_runtime-0.1.0-py3-none-any.whl", "f" * 64),
            )
            for number, one in enumerate(architectures or ("amd64",), 1)
        },
        {one: bundle(DISTRIBUTIONS).hash for one in architectures or ("amd64",)},
        source,
    )


def images(address: str, store: Store, *architectures: str, files: Mapping[str, bytes] | None = None) -> list[Image]:
    """Images on a base that is put into the registry too."""
    wanted = architectures or ("amd64",)
    name = parse(f"{address}/library/python:3.13-slim")
    push_base(Registry(name), "3.13-slim", wanted)
    inside = layers(bundle({**DISTRIBUTIONS, **(files or {})}), store)
    settings = Settings("word-tools", "1.0.0", python="3.13")
    return [image(base(name, one, store=store), inside, settings) for one in wanted]


def pushed(address: str, repository: str, store: Store, *architectures: str) -> tuple[list[Image], Reference]:
    """Images in a repository of their own, under the tag 1, with nothing said about them."""
    # Each repository's image is another one, so that what the registry keeps of one is no other's.
    found = images(address, store, *architectures, files={"app/name.txt": repository.encode()})
    target = parse(f"{address}/{repository}:1")
    push(found, target, store=store)
    return found, target


@dataclass(frozen=True)
class Keys:
    """The files of a pair: the private half, and the public one."""

    private: Path
    public: Path


def pair(folder: Path, kind: str = "ecdsa", password: str | None = None) -> Keys:
    key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    shut = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    found = Keys(folder / f"{kind}.pem", folder / f"{kind}.pub")
    found.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, shut))
    found.public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return found


def put(registry: Registry, made: Artifact) -> None:
    """Send an artifact with all that it holds."""
    for piece in (*made.pieces, NOTHING):
        put_piece(registry, piece)
    put_manifest(registry, made)


def enter(registry: Registry, subject: Subject, *made: Artifact) -> None:
    """Enter artifacts that are there already, as if nothing had been looked at before."""
    referrers.enter(registry, subject, made, referrers.lists(registry, subject))

"""Documents about an image, beside it in its registry: OCI 1.1 referrers, with the fallback tag.

The OCI distribution specification 1.1, sections "Listing Referrers" and "Referrers Tag Schema"
(https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urljoin

from mcp_packager.errors import Problem, WorldError
from mcp_packager.image.registry import INDEX, MANIFEST, Blob, Registry

EMPTY: Final = "application/vnd.oci.empty.v1+json"
_TRIES: Final = 5
_PAGES: Final = 50
_NEXT: Final = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


@dataclass(frozen=True, slots=True)
class Piece:
    """One layer of an artifact: what kind of document, the document, and what stands beside it in the manifest."""

    media_type: str
    data: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """``sha256:…`` of the document."""
        return _digest(self.data)

    @property
    def descriptor(self) -> dict[str, Any]:
        """How a manifest names it."""
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.data),
            **({"annotations": dict(self.annotations)} if self.annotations else {}),
        }


NOTHING: Final = Piece(EMPTY, b"{}")
"""What every artifact has for a configuration."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The image that artifacts are about: digest, media type and size of its manifest."""

    digest: str
    media_type: str
    size: int

    @property
    def fallback(self) -> str:
        """The tag that lists referrers where a registry does not."""
        return self.digest.replace(":", "-", 1)

    def tagged(self, kind: str) -> str:
        """Where cosign looks for ``sig`` and ``att``."""
        return f"{self.fallback}.{kind}"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A manifest about a subject, with its pieces; ``tag`` where others look for it under a name."""

    kind: str
    manifest: bytes
    pieces: tuple[Piece, ...]
    tag: str | None = None
    replaces: str | None = None

    @property
    def digest(self) -> str:
        """``sha256:…`` of the manifest."""
        return _digest(self.manifest)

    @property
    def descriptor(self) -> dict[str, Any]:
        """How an index of referrers names it."""
        return {
            "mediaType": MANIFEST,
            "digest": self.digest,
            "size": len(self.manifest),
            "artifactType": self.kind,
        }


def artifact(
    kind: str,
    subject: Subject,
    pieces: Sequence[Piece],
    *,
    tag: str | None = None,
    others: Sequence[Mapping[str, Any]] = (),
    replaces: str | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Artifact:
    """Put a manifest together.

    Args:
        kind: its ``artifactType``.
        subject: the image that it is about.
        pieces: its layers.
        tag: the name that it gets too.
        others: layers of somebody else's that are under that name already, and stay.
        replaces: the digest of the manifest that the tag means until now.
        annotations: of the manifest.
    """
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        "config": NOTHING.descriptor,
        "layers": [*others, *(piece.descriptor for piece in pieces)],
        "subject": {"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size},
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    return Artifact(kind, data, tuple(pieces), tag, replaces)


def put_piece(registry: Registry, piece: Piece) -> None:
    """Send one document of an artifact; its manifest comes after.

    Raises:
        UserError: we may not push.
        WorldError: the registry cannot be reached, or refuses it.
    """
    registry.put_blob(Blob(piece.digest, len(piece.data), piece.data))


def put_manifest(registry: Registry, made: Artifact) -> None:
    """Send an artifact's manifest, when its pieces and :data:`NOTHING` are there.

    Raises:
        UserError: we may not push, or its tag must not change.
        WorldError: the registry cannot be reached, or refuses it.
    """
    registry.put_manifest(made.manifest, MANIFEST, made.tag)


def listed(registry: Registry, digest: str) -> list[dict[str, Any]] | None:
    """What the registry's own list of referrers holds; ``None`` where it keeps none.

    Raises:
        UserError: we are not let in.
        WorldError: the registry cannot be reached, or answers with something else.
    """
    repository = registry.reference.repository
    path = f"{repository}/referrers/{digest}"
    found: list[dict[str, Any]] = []
    for _ in range(_PAGES):
        response = registry.transport.request(
            "GET",
            path,
            scope=f"repository:{repository}:pull",
            headers={"Accept": INDEX},
            # Registries that know nothing of it say so in several ways.
            expect=frozenset({200, 400, 404, 405}),
        )
        if response.status != 200:
            return None
        entries = _entries(response.data)
        if entries is None:
            return None
        found += entries
        following = _NEXT.search(response.headers.get("link", ""))
        if following is None:
            return found
        path = urljoin(urljoin(registry.transport.base, path), following[1])
    return found


def tagged(registry: Registry, tag: str) -> list[dict[str, Any]]:
    """What the fallback tag lists; nothing where there is no such tag.

    Raises:
        UserError: we are not let in.
        WorldError: the registry cannot be reached, or something else than an index is under the tag.
    """
    found = registry.manifest(tag)
    if found is None:
        return []
    entries = _entries(found.data) if found.is_index else None
    if entries is None:
        place = f"{registry.reference.registry}/{registry.reference.repository}"
        raise WorldError(
            Problem(
                f"the tag {tag} of {place} is no list of referrers",
                "remove that tag: the OCI specification reserves its name for one",
            )
        )
    return entries


@dataclass(frozen=True, slots=True)
class Lists:
    """What lists an image's referrers: whether the registry does, and what the fallback tag holds."""

    own: bool
    entries: Sequence[Mapping[str, Any]]


def lists(registry: Registry, subject: Subject) -> Lists:
    """See what lists there are, before anything is entered.

    Raises:
        UserError: we are not let in.
        WorldError: the registry cannot be reached, or something else than an index is under the tag.
    """
    return Lists(listed(registry, subject.digest) is not None, tagged(registry, subject.fallback))


def enter(registry: Registry, subject: Subject, made: Sequence[Artifact], before: Lists) -> bool:
    """See that every artifact is found from its subject; whether the fallback tag was needed for it.

    What others have entered under the tag stays. Two who write at once may overwrite each other, as the specification
    says; so it is read again, and written again where an entry is missing.

    Raises:
        UserError: we may not push.
        WorldError: the registry cannot be reached, or the entries do not stay.
    """
    wanted = {item.digest: item.descriptor for item in made}
    gone = {item.replaces for item in made if item.replaces} - set(wanted)
    if before.own:
        own = listed(registry, subject.digest) or ()
        if wanted.keys() <= {entry.get("digest") for entry in own}:
            return False
    there = before.entries
    for _ in range(_TRIES):
        if wanted.keys() <= {entry.get("digest") for entry in there}:
            return True
        kept = [entry for entry in there if entry.get("digest") not in {*wanted, *gone}]
        registry.put_manifest(_index([*kept, *wanted.values()]), INDEX, subject.fallback)
        there = tagged(registry, subject.fallback)
    raise WorldError(
        Problem(
            f"the list of referrers of {subject.digest} does not keep what is entered",
            "run the command again when nobody else writes there",
        )
    )


def _index(entries: Sequence[Mapping[str, Any]]) -> bytes:
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _entries(data: bytes) -> list[dict[str, Any]] | None:
    try:
        entries = json.loads(data)["manifests"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(entries, list):
        return None
    return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("digest"), str)]


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"

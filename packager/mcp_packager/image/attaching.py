"""Bill and provenance of an image into its registry, signed where there is a key: beside the push, not before it.

For the image, and where it is an index also for each image in it: the CycloneDX bill and the in-toto statement as
referrers. With a key one manifest more each for cosign's tags ``sha256-….sig`` and ``sha256-….att``; both are referrers
too, so that one copy is found either way.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from mcp_packager.errors import WorldError
from mcp_packager.image import provenance, referrers, sbom, signing
from mcp_packager.image.documents import Image, digest_of_bytes, index
from mcp_packager.image.ingredients import Ingredients
from mcp_packager.image.reference import Reference
from mcp_packager.image.referrers import Artifact, Piece, Subject
from mcp_packager.image.registry import INDEX, MANIFEST, Registry
from mcp_packager.image.signing import Signer
from mcp_packager.store import Store

SIGNATURE: Final = "dev.cosignproject.cosign/signature"
SIGNATURES: Final = "application/vnd.dev.cosign.artifact.sig.v1+json"
ATTESTATIONS: Final = "application/vnd.dev.cosign.artifact.att.v1+json"
"""What cosign calls the two where it looks for them as referrers."""

_KIND: Final = "attached"
_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Attached:
    """What was attached: the digests of the subjects, the artifacts sent, and whether fallback tags were needed."""

    subjects: tuple[str, ...]
    artifacts: int
    tagged: bool


def attach(
    images: Sequence[Image],
    target: Reference,
    made_of: Ingredients,
    *,
    key: Signer | None = None,
    pushed: Future[Any] | None = None,
    environ: Mapping[str, str] = os.environ,
    store: Store | None = None,
) -> Attached:
    """Attach bill, provenance and, with a key, signatures to an image or to an index over several.

    Args:
        images: as they go to :func:`~mcp_packager.image.pushing.push`.
        target: the repository; its tag plays no part.
        made_of: what the images were made of.
        key: signs all of it.
        pushed: the push that goes on at the same time. A registry that takes no word about an image before the image
            itself is asked again when the push is done.
        environ: where settings and credentials are.
        store: remembers what is there already.

    Raises:
        UserError: we may not push there, or a tag of cosign's must not change.
        WorldError: the registry cannot be reached, or refuses.
    """
    registry, shared = Registry(target, environ=environ), store or Store()
    work = [_About(registry, shared, subject, parts, made_of, key) for subject, parts in _subjects(images)]
    digests = tuple(one.subject.digest for one in work)
    try:
        sent, tagged = _go(registry, work)
    except WorldError:
        if pushed is None or pushed.exception() is not None:
            raise
        sent, tagged = _go(registry, work)
    return Attached(digests, sent, tagged)


def _go(registry: Registry, work: Sequence[_About]) -> tuple[int, bool]:
    """Send what is not there; how many artifacts that were, and whether a fallback tag was needed.

    All of it goes through one list, so that no blob goes up twice at once: docker-registry trips over that.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        wanted = list(pool.map(_About.wanted, work))
        due = [one for every in wanted for one in every]
        referrers.put(registry, [one for one in due if one.replaces != one.digest])
        tagged = list(pool.map(_About.enter, work, wanted))
    return len(due), any(tagged)


def _subjects(images: Sequence[Image]) -> list[tuple[Subject, Sequence[Image]]]:
    found: list[tuple[Subject, Sequence[Image]]] = [
        (Subject(one.digest, MANIFEST, len(one.manifest)), (one,)) for one in images
    ]
    if len(images) > 1:
        top = index(images)
        found.append((Subject(digest_of_bytes(top), INDEX, len(top)), images))
    return found


@dataclass(frozen=True)
class _About:
    """What is to be said of one image or index."""

    registry: Registry
    store: Store
    subject: Subject
    images: Sequence[Image]
    made_of: Ingredients
    key: Signer | None

    def wanted(self) -> list[Artifact]:
        """The artifacts to be sent: none where this machine knows that they are there."""
        if self._known is not None:
            return []
        return [*self.plain, *([] if self.key is None else self._signed(self.key))]

    def enter(self, sent: Sequence[Artifact]) -> bool:
        """See that the artifacts are found from the image; whether the fallback tag is needed for it."""
        if not sent:
            return bool(self._known)
        tagged = referrers.enter(self.registry, self.subject, sent)
        self.store.remember(_KIND, self._memory, {"tagged": tagged})
        return tagged

    @cached_property
    def bill(self) -> bytes:
        """The CycloneDX document."""
        return sbom.sbom(self.subject.digest, self.images, self.made_of)

    @cached_property
    def origin(self) -> bytes:
        """The statement with the provenance."""
        return self._statement(provenance.PREDICATE_TYPE, provenance.provenance(self.images, self.made_of))

    @cached_property
    def plain(self) -> tuple[Artifact, Artifact]:
        """Both as artifacts of their own, unsigned."""
        kind = {"predicateType": provenance.PREDICATE_TYPE}
        return (
            referrers.artifact(sbom.MEDIA_TYPE, self.subject, [Piece(sbom.MEDIA_TYPE, self.bill)]),
            referrers.artifact(provenance.MEDIA_TYPE, self.subject, [Piece(provenance.MEDIA_TYPE, self.origin, kind)]),
        )

    def _signed(self, key: Signer) -> list[Artifact]:
        place = f"{self.registry.reference.registry}/{self.registry.reference.repository}"
        payload = signing.simple_payload(place, self.subject.digest)
        signature = base64.b64encode(key.sign(payload)).decode()
        statements = (
            (sbom.PREDICATE_TYPE, self._statement(sbom.PREDICATE_TYPE, json.loads(self.bill))),
            (provenance.PREDICATE_TYPE, self.origin),
        )
        envelopes = [
            Piece(signing.ENVELOPE, signing.envelope(statement, key), {SIGNATURE: "", "predicateType": kind})
            for kind, statement in statements
        ]
        return [
            self._tagged("sig", SIGNATURES, [Piece(signing.SIMPLE_SIGNING, payload, {SIGNATURE: signature})]),
            self._tagged("att", ATTESTATIONS, envelopes),
        ]

    def _tagged(self, name: str, kind: str, pieces: Sequence[Piece]) -> Artifact:
        """A manifest under one of cosign's tags, with what others have put there."""
        tag = self.subject.tagged(name)
        found = self.registry.manifest(tag, pushing=True)
        ours = [piece.descriptor for piece in pieces]
        others = [item for item in found.document.get("layers", ()) if item not in ours] if found else []
        replaces = found.digest if found else None
        return referrers.artifact(kind, self.subject, pieces, tag=tag, others=others, replaces=replaces)

    def _statement(self, kind: str, predicate: Mapping[str, Any]) -> bytes:
        return provenance.statement(self.registry.reference.repository, self.subject.digest, kind, predicate)

    @cached_property
    def _known(self) -> bool | None:
        """Whether fallback tags were needed when this machine attached the very same; ``None``: it did not, or lost."""
        known = self.store.record(_KIND, self._memory)
        there = known is not None and self.registry.manifest(self.plain[0].digest, pushing=True) is not None
        return bool(known["tagged"]) if there else None

    @property
    def _memory(self) -> str:
        reference = self.registry.reference
        signed = self.key.public.fingerprint if self.key else ""
        text = "\0".join((reference.registry, reference.repository, signed, *(one.digest for one in self.plain)))
        return hashlib.sha256(text.encode()).hexdigest()

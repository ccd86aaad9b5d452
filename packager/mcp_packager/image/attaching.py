"""Bill and provenance of an image into its registry, signed where there is a key: beside the push, not before it.

For the image, and where it is an index also for each image in it: the CycloneDX bill and the in-toto statement as
referrers. With a key also signature and attestations, in both forms that cosign knows: bundles as referrers, where its
version 3 looks first, and the tags ``sha256-….sig`` and ``sha256-….att``, where earlier ones and policy engines look.
What is under these tags is a referrer too.
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
from mcp_packager.image.referrers import Artifact, Lists, Piece, Subject
from mcp_packager.image.registry import INDEX, MANIFEST, Manifest, Registry
from mcp_packager.image.signing import Signer
from mcp_packager.store import Store

SIGNATURE: Final = "dev.cosignproject.cosign/signature"
SIGNATURES: Final = "application/vnd.dev.cosign.artifact.sig.v1+json"
ATTESTATIONS: Final = "application/vnd.dev.cosign.artifact.att.v1+json"
"""What cosign calls the two where it looks for them as referrers."""

_IN_BUNDLES: Final = {"dev.sigstore.bundle.content": "dsse-envelope"}
_KIND: Final = "attached"
_AT_ONCE: Final = 8


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
    work = [_About(registry, shared, subject, parts, made_of, key) for subject, parts in subjects(images)]
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

    In a row stand only: where may a document go, the document, the manifests, and the list; where the registry keeps
    none, the list again. No document goes up twice at once: docker-registry trips over that.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        known = list(pool.map(_About.known, work))
        due = [one for one, tagged in zip(work, known, strict=True) if tagged is None]
        pieces = {piece.digest: piece for one in due for piece in one.pieces}
        sending = [pool.submit(referrers.put_piece, registry, piece) for piece in pieces.values()]
        lists = [pool.submit(referrers.lists, registry, one.subject) for one in due]
        there = [[pool.submit(one.under, name) for name in one.names] for one in due]
        made = [one.artifacts([found.result() for found in under]) for one, under in zip(due, there, strict=True)]
        for sent in sending:
            sent.result()
        fresh = [item for every in made for item in every if item.replaces != item.digest]
        list(pool.map(lambda item: referrers.put_manifest(registry, item), fresh))
        entered = list(pool.map(_About.enter, due, made, [found.result() for found in lists]))
    return sum(map(len, made)), any((*known, *entered))


def subjects(images: Sequence[Image]) -> list[tuple[Subject, Sequence[Image]]]:
    """Each image, and the index over several, with the images that it stands for."""
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

    def known(self) -> bool | None:
        """Whether fallback tags were needed when this machine attached the very same; ``None``: it did not, or lost."""
        found = self.store.record(_KIND, self._memory)
        there = found is not None and self.registry.manifest(self._plain[0].digest, pushing=True) is not None
        return bool(found["tagged"]) if there else None

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Every document that is to be there."""
        plain = [piece for one in (*self._plain, *self._bundles) for piece in one.pieces]
        return (*plain, *(piece for _, _, pieces in self._signed for piece in pieces), referrers.NOTHING)

    @property
    def names(self) -> tuple[str, ...]:
        """The tags that others may have put something under."""
        return tuple(self.subject.tagged(name) for name, _, _ in self._signed)

    def under(self, name: str) -> Manifest | None:
        """What is under a tag now."""
        return self.registry.manifest(name, pushing=True)

    def artifacts(self, there: Sequence[Manifest | None]) -> list[Artifact]:
        """What is to be there; ``there`` is what the tags of :attr:`names` mean until now, whose layers stay."""
        made = [*self._plain, *self._bundles]
        for (name, kind, pieces), found in zip(self._signed, there, strict=True):
            ours = [piece.descriptor for piece in pieces]
            others = [item for item in found.document.get("layers", ()) if item not in ours] if found else []
            replaces = found.digest if found else None
            tag = self.subject.tagged(name)
            made.append(referrers.artifact(kind, self.subject, pieces, tag=tag, others=others, replaces=replaces))
        return made

    def enter(self, made: Sequence[Artifact], before: Lists) -> bool:
        """See that the artifacts are found from the image; whether the fallback tag is needed for it."""
        tagged = referrers.enter(self.registry, self.subject, made, before)
        self.store.remember(_KIND, self._memory, {"tagged": tagged})
        return tagged

    @cached_property
    def _bill(self) -> bytes:
        return sbom.sbom(self.subject.digest, self.images, self.made_of)

    @cached_property
    def _origin(self) -> bytes:
        return self._statement(provenance.PREDICATE_TYPE, provenance.provenance(self.images, self.made_of))

    @cached_property
    def _plain(self) -> tuple[Artifact, Artifact]:
        """Bill and provenance as artifacts of their own, unsigned."""
        kind = {"predicateType": provenance.PREDICATE_TYPE}
        return (
            referrers.artifact(sbom.MEDIA_TYPE, self.subject, [Piece(sbom.MEDIA_TYPE, self._bill)]),
            referrers.artifact(provenance.MEDIA_TYPE, self.subject, [Piece(provenance.MEDIA_TYPE, self._origin, kind)]),
        )

    @cached_property
    def _signed(self) -> tuple[tuple[str, str, tuple[Piece, ...]], ...]:
        """Name of cosign's tag, artifact type and documents of signature and attestations; none without a key."""
        if self.key is None:
            return ()
        place = f"{self.registry.reference.registry}/{self.registry.reference.repository}"
        payload = signing.simple_payload(place, self.subject.digest)
        signature = base64.b64encode(self.key.sign(payload)).decode()
        envelopes = tuple(
            Piece(signing.ENVELOPE, made, {SIGNATURE: "", "predicateType": kind})
            for kind, made in self._envelopes(self.key).items()
            if kind != signing.SIGNED
        )
        simple = Piece(signing.SIMPLE_SIGNING, payload, {SIGNATURE: signature})
        return (("sig", SIGNATURES, (simple,)), ("att", ATTESTATIONS, envelopes))

    @cached_property
    def _bundles(self) -> tuple[Artifact, ...]:
        """What cosign 3 looks for: a manifest each for the signature and for both attestations."""
        if self.key is None:
            return ()
        return tuple(
            referrers.artifact(
                signing.BUNDLE,
                self.subject,
                [Piece(signing.BUNDLE, signing.bundle(made, self.key.public))],
                annotations={**_IN_BUNDLES, "dev.sigstore.bundle.predicateType": kind},
            )
            for kind, made in self._envelopes(self.key).items()
        )

    def _envelopes(self, key: Signer) -> dict[str, bytes]:
        """Envelopes by the type of what they say: signed, with this bill, from there."""
        said = {
            signing.SIGNED: self._statement(signing.SIGNED, {}),
            sbom.PREDICATE_TYPE: self._statement(sbom.PREDICATE_TYPE, json.loads(self._bill)),
            provenance.PREDICATE_TYPE: self._origin,
        }
        return {kind: signing.envelope(statement, key) for kind, statement in said.items()}

    def _statement(self, kind: str, predicate: Mapping[str, Any]) -> bytes:
        return provenance.statement(self.registry.reference.repository, self.subject.digest, kind, predicate)

    @property
    def _memory(self) -> str:
        reference = self.registry.reference
        signed = self.key.public.fingerprint if self.key else ""
        text = "\0".join((reference.registry, reference.repository, signed, *(one.digest for one in self._plain)))
        return hashlib.sha256(text.encode()).hexdigest()

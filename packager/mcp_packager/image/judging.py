"""Whether what is said about an image holds: signature, bill and provenance."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.image import contents, provenance, sbom, signing
from mcp_packager.image.reading import Said
from mcp_packager.image.signing import PublicKey

if TYPE_CHECKING:
    from mcp_packager.image.identity import Vouched

_UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError)
_Document = Mapping[str, Any]


class Held(Enum):
    """How a finding is. ``ABSENT`` is no failure by itself."""

    HOLDS = "holds"
    FAILS = "fails"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what it is about (``linux/amd64``, ``sbom``, …), whether it holds, and what was seen."""

    about: str
    held: Held
    said: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What is judged: the image's digest, what is said about it, whose word counts, and what is really in it.

    The word that counts is that of ``keys``, or of an identity, for which cosign ``vouched``.
    ``distributions`` are canonical names and versions found in the layers; ``bases`` the digests in hex of the base
    images that the manifests name.
    """

    digest: str
    said: Said
    keys: tuple[PublicKey, ...]
    distributions: set[tuple[str, str]]
    bases: set[str]
    vouched: Vouched | None = None

    @property
    def by(self) -> str | None:
        """Whose word counts; ``None``: everybody's."""
        if self.vouched is not None:
            return "the identity"
        return "the key" if self.keys else None


def judged(case: Judged) -> list[Finding]:
    """A finding each for bill, provenance and signature, and one for everything that is damaged."""
    damaged = [
        Finding(kind, Held.FAILS, f"{digest} is another one in the registry, or missing")
        for kind, digest in case.said.broken
    ]
    signed = _signed(case)
    bill, bills = _documents(case, "sbom", _plain_bills(case), signed.get(sbom.PREDICATE_TYPE, []))
    origin, origins = _documents(case, "provenance", _plain_origins(case), signed.get(provenance.PREDICATE_TYPE, []))
    if bill is None:
        bill = _each("sbom", bills, lambda document: _bill(case, document), case)
    if origin is None:
        origin = _each("provenance", origins, lambda document: _origin(case, document, bills), case)
    return [*damaged, bill, origin, _signature(case, signed)]


def _signature(case: Judged, signed: Mapping[str, Sequence[_Document]]) -> Finding:
    there = len(case.said.signatures)
    if case.vouched is not None:
        return Finding("signature", Held.HOLDS if case.vouched.signed else Held.FAILS, case.vouched.said)
    if not case.keys:
        said = f"{there} there, not looked at: no key is named" if there else "there is none"
        return Finding("signature", Held.ABSENT, said)
    about: set[str] = set()
    for key in case.keys:
        for payload, signature in case.said.signatures:
            digest = signing.signed_image(payload, signature, key)
            if digest == case.digest:
                return Finding("signature", Held.HOLDS, f"of this image, by the key {_named(key)}")
            about |= {digest} if digest else set()
    if signing.SIGNED in signed:
        return Finding("signature", Held.HOLDS, "of this image, by the key, in a bundle of sigstore's")
    if about:
        return Finding("signature", Held.FAILS, f"by the key, of another image: {', '.join(sorted(about))}")
    if there:
        return Finding("signature", Held.FAILS, f"none of the {there} there is by the key")
    return Finding("signature", Held.ABSENT, "there is none")


def _signed(case: Judged) -> dict[str, list[_Document]]:
    """By predicate type, what the keys say of this very image."""
    found: dict[str, list[_Document]] = {}
    for data in case.said.envelopes if case.vouched is None else case.vouched.envelopes:
        payloads = [signing.opened(data, key) for key in case.keys] or [signing.unjudged(data)]
        for payload in payloads:
            try:
                document = json.loads(payload or b"")
                if case.digest in _subjects(document):
                    found.setdefault(str(document["predicateType"]), []).append(document["predicate"])
            except _UNREADABLE:
                continue
    return found


def _plain_bills(case: Judged) -> list[_Document]:
    """Bills that mcp-pack made for this image; another tool's are its own affair."""
    return [item for item in _read(case.said.bills) if item.get("serialNumber") == sbom.serial_of(case.digest)]


def _plain_origins(case: Judged) -> list[_Document]:
    found = []
    for item in _read(case.said.statements):
        try:
            ours = item["predicate"]["buildDefinition"]["buildType"] == provenance.BUILD_TYPE
            if ours and item["predicateType"] == provenance.PREDICATE_TYPE and case.digest in _subjects(item):
                found.append(item["predicate"])
        except _UNREADABLE:
            continue
    return found


def _documents(
    case: Judged, about: str, plain: Sequence[_Document], signed: Sequence[_Document]
) -> tuple[Finding | None, list[_Document]]:
    """The documents that count; a finding instead where there are none, or one is not what was signed."""
    if case.by is None:
        every = [*plain, *(item for item in signed if item not in plain)]
        return (None if every else Finding(about, Held.ABSENT, "there is none by mcp-pack"), every)
    unsigned = [item for item in plain if item not in signed]
    if unsigned and not signed:
        return Finding(about, Held.FAILS, f"there is one, and {case.by} did not sign it"), []
    # An image has one bill, and readers take the plain one. It may be built again from another commit, with a
    # provenance more: of those only what is signed counts.
    if unsigned and about == "sbom":
        return Finding(about, Held.FAILS, f"what is there is not what {case.by} signed"), []
    return (None if signed else Finding(about, Held.ABSENT, "there is none by mcp-pack"), list(signed))


def _each(about: str, documents: Sequence[_Document], judge: Callable[[_Document], Finding], case: Judged) -> Finding:
    """The first finding that fails, else the last."""
    found = Finding(about, Held.ABSENT, "there is none by mcp-pack")
    for document in documents:
        try:
            found = judge(document)
        except _UNREADABLE:
            found = Finding(about, Held.FAILS, "it is not the document that its media type says")
        if found.held is Held.FAILS:
            return found
    vouched = f"signed by {case.by}" if case.by else "nobody vouches for it: no key is named"
    return Finding(about, found.held, f"{found.said}; {vouched}")


def _bill(case: Judged, document: _Document) -> Finding:
    image = [item["value"] for item in document["metadata"]["component"]["properties"] if item["name"] == sbom.IMAGE]
    if document["bomFormat"] != "CycloneDX" or image != [case.digest]:
        return Finding("sbom", Held.FAILS, "it is the bill of another image")
    listed = {contents.canonical(*item) for item in sbom.libraries(document)}
    if missing := case.distributions - listed:
        return Finding("sbom", Held.FAILS, f"it leaves out what is in the layers: {_names(missing)}")
    if absent := listed - case.distributions:
        return Finding("sbom", Held.FAILS, f"it lists what is not in the layers: {_names(absent)}")
    return Finding(
        "sbom", Held.HOLDS, f"CycloneDX {document['specVersion']}: the {len(listed)} distributions in the layers"
    )


def _origin(case: Judged, document: _Document, bills: Sequence[_Document]) -> Finding:
    used = provenance.hashes(document)
    if not case.bases <= used:
        return Finding("provenance", Held.FAILS, "it names another base image than the manifest")
    for bill in bills:
        inside = {item["hashes"][0]["content"] for item in bill["components"]}
        if not inside <= used:
            return Finding("provenance", Held.FAILS, "it does not name everything that the bill lists")
    builder = document["runDetails"]["builder"]["id"]
    commits = [
        item["digest"]["gitCommit"]
        for item in document["buildDefinition"]["resolvedDependencies"]
        if "gitCommit" in item["digest"]
    ]
    code = f"from commit {commits[0]}" if commits else "from code that no commit names"
    return Finding("provenance", Held.HOLDS, f"SLSA v1: built by {builder} {code}")


def _subjects(statement: _Document) -> set[str]:
    return {f"sha256:{item['digest'].get('sha256')}" for item in statement["subject"]}


def _read(every: Sequence[bytes]) -> list[_Document]:
    found: list[_Document] = []
    for data in every:
        try:
            document = json.loads(data)
        except ValueError:
            continue
        if isinstance(document, dict):
            found.append(document)
    return found


def _named(key: PublicKey) -> str:
    return f"SHA256:{key.fingerprint[:16]}"


def _names(found: set[tuple[str, str]]) -> str:
    shown = [f"{name} {version}" for name, version in sorted(found)[:5]]
    return ", ".join(shown) + (f" and {len(found) - 5} more" if len(found) > 5 else "")

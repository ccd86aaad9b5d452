"""What a registry holds about an image, whoever put it there: collected, not judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mcp_packager.image import provenance, sbom, signing
from mcp_packager.image.attaching import SIGNATURE
from mcp_packager.image.referrers import Subject, listed, tagged
from mcp_packager.image.registry import MANIFEST, Manifest, MissingError, Registry, WrongBytesError

_MOST: Final = 200
"""Documents beyond these are not read: anybody with the right to push can add some."""


@dataclass
class Said:
    """Documents about one image, as bytes.

    ``signatures`` are payloads of simple signing with their signature in base64. ``broken`` says of which kind
    (``sbom``, ``provenance``, ``attestation``, ``signature``, ``bundle``, ``referrer``) something is there and is not
    what its digest says.
    """

    bills: list[bytes] = field(default_factory=list)
    statements: list[bytes] = field(default_factory=list)
    envelopes: list[bytes] = field(default_factory=list)
    signatures: list[tuple[bytes, str]] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)


def said_about(registry: Registry, digest: str) -> Said:
    """Everything that refers to an image: by the registry's list, by the fallback tag, by cosign's tags.

    Raises:
        UserError: we are not let in.
        WorldError: the registry cannot be reached.
    """
    subject, said = Subject(digest, MANIFEST, 0), Said()
    own = listed(registry, digest)
    names = [str(entry["digest"]) for entry in (*(own or ()), *tagged(registry, subject.fallback))]
    seen: set[str] = set()
    layers: list[Mapping[str, Any]] = []
    for name in (subject.tagged("sig"), subject.tagged("att"), *names[:_MOST]):
        try:
            found = registry.manifest(name) if name not in seen else None
        except WrongBytesError:
            said.broken.append(("referrer", name))
            continue
        if found is None or found.digest in seen:
            continue
        seen |= {name, found.digest}
        if name.startswith("sha256:") and _about(found) != digest:
            continue
        layers += [layer for layer in _layers(found) if layer not in layers]
    for layer in layers:
        _collect(registry, layer, said)
    return said


def _collect(registry: Registry, layer: Mapping[str, Any], said: Said) -> None:
    kinds = {
        sbom.MEDIA_TYPE: "sbom",
        provenance.MEDIA_TYPE: "provenance",
        signing.ENVELOPE: "attestation",
        signing.SIMPLE_SIGNING: "signature",
        signing.BUNDLE: "bundle",
    }
    kind = kinds.get(str(layer.get("mediaType")))
    if kind is None:
        return
    digest = str(layer.get("digest"))
    try:
        data = registry.small_blob(digest)
    except (WrongBytesError, MissingError):
        said.broken.append((kind, digest))
        return
    match kind:
        case "sbom":
            said.bills.append(data)
        case "provenance":
            said.statements.append(data)
        case "attestation" | "bundle":
            envelope = data if kind == "attestation" else signing.unbundled(data)
            if envelope is not None and envelope not in said.envelopes:
                said.envelopes.append(envelope)
        case _:
            said.signatures.append((data, str((layer.get("annotations") or {}).get(SIGNATURE, ""))))


def _about(found: Manifest) -> str | None:
    try:
        return str(found.document["subject"]["digest"])
    except (ValueError, KeyError, TypeError):
        return None


def _layers(found: Manifest) -> Iterable[Mapping[str, Any]]:
    try:
        layers = found.document.get("layers") or ()
    except (ValueError, AttributeError):
        return ()
    return [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else ()

"""Whether an image in a registry is what it says, and what is said about it beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from mcp_packager.errors import Problem, UsageError, UserError
from mcp_packager.image import contents, judging
from mcp_packager.image.contents import Contents
from mcp_packager.image.identity import Named, vouched
from mcp_packager.image.judging import Finding, Held, Judged
from mcp_packager.image.reading import said_about
from mcp_packager.image.reference import Reference, mirrored
from mcp_packager.image.registry import Manifest, MissingError, Registry, WrongBytesError
from mcp_packager.image.signing import PublicKey

_AT_ONCE: Final = 4
_UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError)
"""What documents of other people's making raise where they are not what they should be."""


class Requirement(Enum):
    """What may be asked to stand beside an image."""

    SBOM = "sbom"
    PROVENANCE = "provenance"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found of an image. ``digest`` is of what the reference means; ``holds`` where nothing fails."""

    reference: str
    digest: str
    findings: tuple[Finding, ...]
    holds: bool


def verify(
    reference: Reference,
    *,
    keys: Sequence[PublicKey] = (),
    named: Named | None = None,
    require: frozenset[Requirement] = frozenset(),
    environ: Mapping[str, str] = os.environ,
) -> Verified:
    """Read an image whole, and judge it and what stands beside it.

    Args:
        reference: by tag or by digest; of an index every image is read.
        keys: those whose signatures count. With any, a signature must be there, and bill and provenance be signed.
        named: who must have signed instead of a key, which cosign is asked; with the same consequences.
        require: what must be there. Without it, what is not there does not fail.
        environ: where settings and credentials are.

    Raises:
        UserError: there is no such image, we are not let in, or cosign is needed and not there.
        UsageError: a signature is required, and neither a key nor an identity is named to check it; or both are.
        WorldError: the registry cannot be reached.
    """
    if keys and named:
        raise UsageError(Problem("the word of keys or of an identity counts, not both", "ask twice, once with each"))
    if Requirement.SIGNATURE in require and not keys and not named:
        fix = "name the public key with --key FILE, or who signed with --identity and --issuer"
        raise UsageError(Problem("a signature cannot be checked without a key", fix))
    place = mirrored(reference, environ)
    registry = Registry(place, environ=environ)
    try:
        top = registry.manifest(place.wanted)
    except WrongBytesError:
        wrong = Finding("manifest", Held.FAILS, f"the registry gives something else than {place.wanted}")
        return Verified(str(reference), place.wanted, (wrong,), holds=False)
    if top is None:
        raise UserError(Problem(f"there is no image {reference}", "check its name and tag"))
    looked = _Image(registry, top).looked()
    said = said_about(registry, top.digest)
    by = None if named is None else vouched(place, top.digest, named, environ=environ)
    beside = judging.judged(Judged(top.digest, said, tuple(keys), looked.distributions, looked.bases, by))
    wanted = {item.value for item in require} | ({Requirement.SIGNATURE.value} if keys else set())
    findings = [
        Finding(item.about, Held.FAILS, f"{item.said}, and is required")
        if item.held is Held.ABSENT and item.about in wanted
        else item
        for item in (*looked.findings, *beside)
    ]
    return Verified(
        str(reference), top.digest, tuple(findings), holds=all(item.held is not Held.FAILS for item in findings)
    )


@dataclass
class _Looked:
    """What was seen of the images themselves."""

    findings: list[Finding] = field(default_factory=list)
    distributions: set[tuple[str, str]] = field(default_factory=set)
    bases: set[str] = field(default_factory=set)


class _Image:
    """An image or an index over several, with every layer of theirs."""

    def __init__(self, registry: Registry, top: Manifest) -> None:
        self._registry = registry
        self._top = top

    def looked(self) -> _Looked:
        """Read all of it."""
        done = _Looked()
        try:
            if self._top.is_index:
                self._index(done)
            else:
                self._one(self._top, done)
        except _UNREADABLE:
            done.findings.append(Finding("manifest", Held.FAILS, f"{self._top.digest} is no manifest of an image"))
        return done

    def _index(self, done: _Looked) -> None:
        entries = [item for item in self._top.document["manifests"] if _platform(item) != "unknown/unknown"]
        held = Held.HOLDS if entries else Held.FAILS
        noun = "image" if len(entries) == 1 else "images"
        done.findings.append(Finding("index", held, f"{self._top.digest} lists {len(entries)} {noun}"))
        for item in entries:
            digest = str(item["digest"])
            try:
                found = self._registry.manifest(digest)
            except WrongBytesError:
                found, why = None, "is another one in the registry"
            else:
                why = "is not in the registry"
            if found is None:
                done.findings.append(Finding(_platform(item), Held.FAILS, f"the manifest {digest} {why}"))
            else:
                self._one(found, done, listed_as=_platform(item))

    def _one(self, manifest: Manifest, done: _Looked, listed_as: str | None = None) -> None:
        document = manifest.document
        digest = str(document["config"]["digest"])
        try:
            config = json.loads(self._registry.small_blob(digest))
        except (WrongBytesError, MissingError):
            said = f"the configuration {digest} is another one, or is not in the registry"
            done.findings.append(Finding(listed_as or "image", Held.FAILS, said))
            return
        name = _platform(config)
        if listed_as not in {None, name}:
            done.findings.append(Finding(str(listed_as), Held.FAILS, f"the image {manifest.digest} is for {name}"))
        layers, diff_ids = document["layers"], config["rootfs"]["diff_ids"]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(self._layer, layers))
        bad = [
            Finding(name, Held.FAILS, f"layer {number} of {len(layers)}, {layer['digest']}, {why}")
            for number, (layer, seen) in enumerate(zip(layers, found, strict=True), 1)
            if (why := _wrong(layer, seen, diff_ids[number - 1] if number <= len(diff_ids) else None))
        ]
        if len(diff_ids) != len(layers):
            bad.append(Finding(name, Held.FAILS, f"{len(layers)} layers, and the configuration names {len(diff_ids)}"))
        size = sum(seen.size for seen in found if seen is not None)
        which = f"{manifest.digest}: " if listed_as else ""
        good = f"{which}{len(layers)} layers of {size} bytes are those that manifest and configuration name"
        done.findings += bad or [Finding(name, Held.HOLDS, good)]
        done.distributions.update(*(seen.distributions for seen in found if seen is not None))
        base = (document.get("annotations") or {}).get("org.opencontainers.image.base.digest")
        if base:
            done.bases.add(str(base).removeprefix("sha256:"))

    def _layer(self, layer: Mapping[str, Any]) -> Contents | None:
        """What a layer is; ``None`` where it is not there."""
        try:
            return contents.read(self._registry.blob(str(layer["digest"])), str(layer["mediaType"]))
        except MissingError:
            return None


def _wrong(layer: Mapping[str, Any], seen: Contents | None, diff_id: object) -> str | None:
    if seen is None:
        return "is not in the registry"
    if seen.digest != layer["digest"]:
        return f"is another one in the registry: {seen.digest}"
    if seen.size != layer["size"]:
        return f"has {seen.size} bytes, and the manifest says {layer['size']}"
    if not seen.readable:
        return "is not the archive that its media type says"
    if seen.diff_id is not None and seen.diff_id != diff_id:
        return f"holds {seen.diff_id}, and the configuration says {diff_id}"
    return None


def _platform(item: Mapping[str, Any]) -> str:
    """``linux/amd64`` of a configuration, or of an entry of an index."""
    found = item.get("platform", item)
    return f"{found.get('os', 'unknown')}/{found.get('architecture', 'unknown')}"

"""Where an image comes from: an in-toto statement v1 with SLSA provenance v1.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md, https://slsa.dev/spec/v1.0/provenance.
No clock and no name of a machine stands in it, so that the same build gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from mcp_packager import __version__
from mcp_packager.image import sbom
from mcp_packager.image.compress import COMPRESSOR
from mcp_packager.image.documents import Image
from mcp_packager.image.ingredients import Component, Ingredients, Source

MEDIA_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "urn:mcp-pack:image:1"
BUILDER: Final = f"pkg:pypi/mcp-packager@{__version__}"


def statement(name: str, subject: str, predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """An in-toto statement about one image: ``name`` is its repository, ``subject`` its digest ``sha256:…``."""
    document = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": subject.removeprefix("sha256:")}}],
        "predicateType": predicate_type,
        "predicate": predicate,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def provenance(images: Sequence[Image], made_of: Ingredients) -> dict[str, Any]:
    """The predicate for an image, or for an index over several."""
    ordered = sorted(images, key=lambda one: one.architecture)
    bases = {one.base.reference.digest: _base(one) for one in ordered}
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "tool": made_of.tool,
                "version": made_of.version,
                "entrypoint": made_of.entrypoint,
                "python": made_of.python,
                "base": str(ordered[0].base.reference),
                "architectures": [one.architecture for one in ordered],
            },
            "internalParameters": {
                "bundles": {one.architecture: made_of.bundles.get(one.architecture, "") for one in ordered},
                "compressor": COMPRESSOR,
            },
            "resolvedDependencies": [
                *bases.values(),
                *(_wheel(item) for item in made_of.of(images)),
                *([_source(made_of.source)] if made_of.source else []),
            ],
        },
        "runDetails": {"builder": {"id": BUILDER, "version": {"mcp-pack": __version__}}},
    }


def hashes(predicate: Mapping[str, Any]) -> set[str]:
    """The SHA-256 of everything that a provenance says was used."""
    used = predicate.get("buildDefinition", {}).get("resolvedDependencies", ())
    return {str(item["digest"]["sha256"]) for item in used if "sha256" in item.get("digest", {})}


def _base(image: Image) -> dict[str, Any]:
    reference = image.base.reference
    return {
        "uri": sbom.package_url(reference),
        "name": str(reference).partition("@")[0],
        "digest": {"sha256": (reference.digest or "").removeprefix("sha256:")},
    }


def _wheel(item: Component) -> dict[str, Any]:
    return {
        "uri": f"pkg:pypi/{quote(item.name)}@{quote(item.version)}",
        "name": item.file,
        "digest": {"sha256": item.sha256},
    }


def _source(source: Source) -> dict[str, Any]:
    return {
        "name": "source",
        **({"uri": f"{source.address}@{source.commit}"} if source.address else {}),
        "digest": {"gitCommit": source.commit},
    }

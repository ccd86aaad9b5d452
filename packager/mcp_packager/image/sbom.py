"""A bill of what is inside an image: CycloneDX 1.6 as JSON (https://cyclonedx.org/docs/1.6/json/).

Written here and not by a library, so that the same image has the same bill whatever version of one is installed: its
digest is what others hold on to. The tests hold it against the schema.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from mcp_packager import __version__
from mcp_packager.image.bases import Base
from mcp_packager.image.documents import Image
from mcp_packager.image.ingredients import Component, Ingredients
from mcp_packager.image.reference import Reference

MEDIA_TYPE: Final = "application/vnd.cyclonedx+json"
PREDICATE_TYPE: Final = "https://cyclonedx.org/bom"
"""How in-toto calls a bill inside a statement, and cosign with ``--type cyclonedx``."""

IMAGE: Final = "mcp-pack:image"
"""The property that says which image a bill is of."""

_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:mcp-pack:sbom")
_ROOT: Final = "tool"


def sbom(subject: str, images: Sequence[Image], made_of: Ingredients) -> bytes:
    """The bill of an image, or of an index over several.

    Args:
        subject: the digest that it is about, ``sha256:…``.
        images: what that digest stands for.
        made_of: what went into them.
    """
    parts = [
        *(_base(one.base) for one in sorted(images, key=lambda one: one.architecture)),
        *(_library(item) for item in made_of.of(images)),
    ]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_of(subject),
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "mcp-pack", "version": __version__}]},
            "component": _tool(subject, made_of),
        },
        "components": parts,
        # Who needs whom among the distributions is not known here, and what is not listed counts as not known.
        "dependencies": [{"ref": _ROOT, "dependsOn": sorted(part["bom-ref"] for part in parts)}],
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def serial_of(subject: str) -> str:
    """The serial number of an image's bill: always the same for the same image."""
    return f"urn:uuid:{uuid.uuid5(_NAMESPACE, subject)}"


def libraries(document: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Name and version of every distribution that a bill lists."""
    return {
        (str(item.get("name")), str(item.get("version")))
        for item in document.get("components") or ()
        if isinstance(item, Mapping) and item.get("type") == "library"
    }


def _tool(subject: str, made_of: Ingredients) -> dict[str, Any]:
    return {
        "type": "application",
        "bom-ref": _ROOT,
        "name": made_of.tool,
        "version": made_of.version,
        **({"description": made_of.description} if made_of.description else {}),
        "properties": [
            {"name": IMAGE, "value": subject},
            *({"name": "mcp-pack:bundle", "value": value} for _, value in sorted(made_of.bundles.items())),
        ],
    }


def _base(base: Base) -> dict[str, Any]:
    reference = base.reference
    address = package_url(reference, base.architecture)
    return {
        "type": "container",
        "bom-ref": address,
        "name": f"{reference.registry}/{reference.repository}",
        "version": reference.tag or reference.digest or "",
        "purl": address,
        "hashes": [{"alg": "SHA-256", "content": (reference.digest or "").removeprefix("sha256:")}],
    }


def _library(item: Component) -> dict[str, Any]:
    address = f"pkg:pypi/{quote(item.name)}@{quote(item.version)}"
    return {
        "type": "library",
        # Two architectures have two wheels of one version: the file tells them apart.
        "bom-ref": f"{address}#{item.file}",
        "name": item.name,
        "version": item.version,
        "purl": address,
        "hashes": [{"alg": "SHA-256", "content": item.sha256}],
        "properties": [{"name": "mcp-pack:wheel", "value": item.file}],
    }


def package_url(reference: Reference, architecture: str = "") -> str:
    """An image by digest as a package URL (https://github.com/package-url/purl-spec, type ``oci``)."""
    name = reference.repository.rpartition("/")[2]
    place = quote(f"{reference.registry}/{reference.repository}", safe="")
    qualifiers = [
        *([f"arch={architecture}"] if architecture else []),
        f"repository_url={place}",
        *([f"tag={quote(reference.tag)}"] if reference.tag else []),
    ]
    return f"pkg:oci/{quote(name)}@{quote(reference.digest or '', safe='')}?{'&'.join(qualifiers)}"

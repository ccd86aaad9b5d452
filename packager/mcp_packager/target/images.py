"""Artifacts that are images: the one way to make them, for every target that runs some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.target.artifact import Artifact

if TYPE_CHECKING:
    from mcp_packager.image import Assembled, Found
    from mcp_packager.target.protocol import BuildInput

IMAGE: Final = "image"
"""The kind of such an artifact, and the name of its OCI layout."""

SOURCE: Final = "source"
"""The fact of an artifact that was found in a registry: where, by digest. It has no path."""


def image_artifact(
    request: BuildInput, target: str, made: Assembled, repository: str, facts: Mapping[str, Any] | None = None
) -> Artifact:
    """The artifact of images that ``mcp_packager.image.assemble`` wrote.

    Args:
        request: what the target was given to build from.
        target: its name.
        made: the images.
        repository: where they will be known, without tag; the fact ``reference`` is this with their tag.
        facts: what the target adds.

    The fact ``images`` holds the digest of each architecture's configuration, which Docker calls the image's id.
    """
    tool = request.manifest.tool
    return Artifact(
        target=target,
        kind=IMAGE,
        tool=tool.name,
        version=tool.version,
        digest=made.digest,
        size=made.size,
        contract_hash=request.contract["hash"],
        path=IMAGE,
        platform=", ".join(map(str, sorted(request.bundles))),
        facts={
            "reference": f"{repository}:{made.tag}",
            "images": {one.architecture: one.config_digest for one in made.images},
            **(facts or {}),
        },
    )


def found_artifact(target: str, found: Found, *, tool: str, version: str, contract_hash: str) -> Artifact:
    """The artifact of an image that is in a registry already; the target it is for adds what it needs.

    Args:
        target: the target's name.
        found: what ``mcp_packager.image.find`` answered.
        tool: the tool's name.
        version: its version.
        contract_hash: of what it shows clients.
    """
    digest = found.reference.digest or ""
    return Artifact(
        target=target,
        kind=IMAGE,
        tool=tool,
        version=version,
        digest=digest,
        size=found.size,
        contract_hash=contract_hash,
        platform=", ".join(f"linux/{name}" for name in sorted(found.images)),
        facts={
            SOURCE: str(found.reference),
            "reference": f"{found.reference.registry}/{found.reference.repository}",
            "images": {name: one.config_digest for name, one in sorted(found.images.items())},
        },
    )

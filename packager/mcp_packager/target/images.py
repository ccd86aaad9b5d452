"""Artifacts that are images: the one way to make them, for every target that runs some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.target.artifact import Artifact

if TYPE_CHECKING:
    from mcp_packager.image import Assembled
    from mcp_packager.target.protocol import BuildInput

IMAGE: Final = "image"
"""The kind of such an artifact, and the name of its OCI layout."""


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
            "architectures": [one.architecture for one in made.images],
            **(facts or {}),
        },
    )

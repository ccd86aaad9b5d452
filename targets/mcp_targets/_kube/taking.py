"""Images that were built before: from an artifact's folder, or where a registry has them already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcp_packager.errors import Problem, UserError
from mcp_packager.target import IMAGE, Artifact

_DIGITS = 12


def taken(artifact: Artifact, target: str, repository: str, architectures: Sequence[str], *, loads: bool) -> Artifact:
    """The artifact for a cluster. One in a registry stays where it is; one in a folder goes to ``repository``.

    Raises:
        UserError: it is no image, has none for a processor that is asked for, or is where nodes cannot be given it.
    """
    images = artifact.facts.get("images", {}) if artifact.kind == IMAGE else {}
    lacking = sorted(set(architectures) - set(images))
    if lacking:
        raise UserError(
            Problem(
                f"that artifact has no image for {', '.join(lacking)}",
                f"build it for that too: [target.{target}] architectures",
                found=", ".join(sorted(images)) or artifact.kind,
            )
        )
    named = str(artifact.facts["reference"])
    if artifact.path is None:
        if loads:
            raise UserError(
                Problem("an image in a registry is not loaded into nodes from here", "give registry in place of load")
            )
        reference = f"{named}:{artifact.digest.removeprefix('sha256:')[:_DIGITS]}"
    else:
        reference = f"{repository}:{named.rpartition(':')[2]}"
    return replace(artifact, target=target, facts={**artifact.facts, "reference": reference})

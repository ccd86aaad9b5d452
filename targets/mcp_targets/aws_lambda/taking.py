"""What of an artifact that was built before a function can be made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_packager.errors import Problem, UserError
from mcp_packager.target import Artifact
from mcp_targets.aws_lambda import image
from mcp_targets.aws_lambda.building import ZIP
from mcp_targets.aws_lambda.options import Options

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest


def taken(artifact: Artifact, manifest: Manifest, options: Options, name: str) -> Artifact:
    """The artifact, where it was built for this target as the options of the stage want it.

    Raises:
        UserError: it was built for another target, in another form, or for another processor; or it is in a registry.
    """
    if artifact.path is None or artifact.target != name:
        raise UserError(
            Problem(
                "a function is made of what was built for it: a zip, or an image with its loop for Lambda",
                f"build it: mcp-pack build --target {name}; and name its folder, dist/{name}",
                found="an image in a registry" if artifact.path is None else f"an artifact for {artifact.target}",
            )
        )
    form = image.KIND if image.is_image(options) else ZIP
    wanted = {"package": form, "architecture": options.architecture}
    found = {"package": artifact.kind, "architecture": str(artifact.facts.get("architecture"))}
    if wanted != found:
        raise UserError(
            Problem(
                f"the stage {manifest.stage} wants another artifact than this one",
                f"build it with the options of that stage: mcp-pack build --target {name} --stage {manifest.stage}",
                expected=" ".join(wanted.values()),
                found=" ".join(found.values()),
            )
        )
    return artifact

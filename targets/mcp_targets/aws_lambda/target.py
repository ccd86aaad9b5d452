"""The target ``lambda``: the tool as a function of AWS Lambda, behind a URL, an HTTP API or a load balancer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.errors import Problem
from mcp_packager.interpreters import Interpreter
from mcp_packager.manifest import Manifest
from mcp_packager.platforms import Platform
from mcp_packager.target import (
    TARGET_API,
    About,
    Artifact,
    BuildInput,
    Capabilities,
    DesiredInput,
    Examination,
    Exposure,
    Resource,
    Via,
    WorldInput,
)
from mcp_targets.aws_lambda import building, image
from mcp_targets.aws_lambda.judging import problems
from mcp_targets.aws_lambda.options import Options
from mcp_targets.aws_lambda.render import resources
from mcp_targets.aws_lambda.support import SUPPORT

if TYPE_CHECKING:
    from mcp_targets.aws_lambda.world import LambdaWorld

ABOUT: Final = About(
    name="lambda",
    api=TARGET_API,
    summary="a function of AWS Lambda, behind its own URL, an HTTP API or a load balancer",
    options=Options,
    support=SUPPORT,
    capabilities=Capabilities(candidate=True, weights=True, via=frozenset({Via.PUBLIC, Via.INVOKE})),
)


class LambdaTarget:
    """Runs the tool as a function."""

    about = ABOUT

    def check(self, manifest: Manifest, options: Any) -> tuple[Problem, ...]:
        """What Lambda does not take."""
        return tuple(problems(manifest, options))

    def exposure(self, manifest: Manifest, options: Any) -> Exposure:  # noqa: ARG002  # the protocol's signature
        """Everybody, unless AWS asks who is calling, as it does where the manifest says nothing else.

        A load balancer asks nobody.
        """
        return Exposure.INTERNET if options.front == "alb" else Exposure.PLATFORM

    def platforms(self, manifest: Manifest, options: Any) -> tuple[tuple[Platform, Interpreter], ...]:
        """Amazon Linux 2023 on the function's processor, with a Python that Lambda has and that is at hand."""
        return building.platforms(manifest, options)

    def base_image(self, manifest: Manifest, options: Any) -> str | None:
        """The image that the tool's layers stand on, where it is shipped as an image."""
        ((platform, _),) = self.platforms(manifest, options)
        return image.base_image(options, platform.python)

    def build(self, request: BuildInput) -> Artifact:
        """Write the zip, or the image; nothing is asked of AWS."""
        return building.build(request, ABOUT.name)

    def desired(self, request: DesiredInput) -> tuple[Resource, ...]:
        """Role, log, secrets, function, version, and how clients reach it."""
        return resources(request, request.options)

    def taken(self, artifact: Artifact, manifest: Manifest, options: Any) -> Artifact:
        """The zip, or the image, that was built before."""
        from mcp_targets.aws_lambda.taking import taken

        return taken(artifact, manifest, options, ABOUT.name)

    def world(self, request: WorldInput) -> LambdaWorld:
        """The account and region, as far as they are this deployment's."""
        from mcp_targets.aws_lambda.world import LambdaWorld

        return LambdaWorld(request)

    def examine(self, manifest: Manifest, options: Any, environ: Mapping[str, str]) -> Examination:  # noqa: ARG002  # boto3 reads the environment itself
        """Whether the account has what a deploy needs."""
        from mcp_targets.aws_lambda.examine import examined

        return examined(manifest, options)

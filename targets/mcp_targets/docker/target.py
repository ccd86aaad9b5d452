"""The target ``docker``: the tool as a hardened container behind a front that keeps its port."""

from __future__ import annotations

import platform as machine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.errors import Place, Problem, UserError
from mcp_packager.interpreters import Interpreter, find
from mcp_packager.manifest import Manifest
from mcp_packager.platforms import ARCHITECTURES, Platform
from mcp_packager.target import (
    IMAGE,
    TARGET_API,
    About,
    Artifact,
    BuildInput,
    Capabilities,
    DesiredInput,
    Exposure,
    Resource,
    WorldInput,
    exposure_of,
    image_artifact,
    unread_secrets,
)
from mcp_targets.docker import hosted
from mcp_targets.docker.options import Options
from mcp_targets.docker.render import resources
from mcp_targets.docker.support import SUPPORT

if TYPE_CHECKING:
    from mcp_targets.docker.world import DockerWorld

ABOUT: Final = About(
    name="docker",
    api=TARGET_API,
    summary="a container on Docker or Podman, with its services",
    options=Options,
    support=SUPPORT,
    capabilities=Capabilities(candidate=True, stdio=True),
)

_MACHINES: Final = {architecture: machine for machine, architecture in ARCHITECTURES.items()}
_SYSTEM: Final = "manylinux_2_28"
"""What wheels may ask of the base: Debian 12 and 13, and every slim image of a Python that is served today."""


class DockerTarget:
    """Runs the tool as a container of an image that is made here."""

    about = ABOUT

    def check(self, manifest: Manifest, options: Any) -> tuple[Problem, ...]:
        """Secrets that a daemon has no way to; two images to stand on."""
        return (*unread_secrets(manifest, ABOUT.name), *_two_bases(manifest, options))

    def exposure(self, manifest: Manifest, options: Any) -> Exposure:
        """This machine alone, unless it is told to serve the network or something in front of it does."""
        return exposure_of(manifest, loopback=options.is_loopback)

    def platforms(self, manifest: Manifest, options: Any) -> tuple[tuple[Platform, Interpreter], ...]:
        """Linux on this machine's processor, where no other is named, with the Python at hand."""
        interpreter = find(manifest.tool.python)
        wanted = options.architectures or (_architecture(),)
        return tuple(
            (Platform(interpreter.minor, f"{_MACHINES.get(name, name)}-{_SYSTEM}"), interpreter)
            for name in dict.fromkeys(wanted)
        )

    def base_image(self, manifest: Manifest, options: Any) -> str | None:
        """The image that the tool's layers stand on, unless a Dockerfile describes it."""
        if options.dockerfile is not None:
            return None
        ((platform, _), *_rest) = self.platforms(manifest, options)
        return options.base or _slim(platform.python)

    def build(self, request: BuildInput) -> Artifact:
        """Write the image as an OCI layout; nothing is asked of a daemon."""
        from mcp_packager.image import Recipe, assemble
        from mcp_targets.docker.emitting import stdio, write_files

        project, options = request.manifest.project, request.options
        recipe = None if options.dockerfile is None else Recipe(project / options.dockerfile, project)
        made = assemble(request, recipe=recipe)
        repository = _repository(request.manifest)
        reference = f"{repository}:{made.tag}"
        # The daemon takes the image for its own machine; the others are for a registry.
        here = made.of(_architecture())
        exposure = self.exposure(request.manifest, request.options)
        write_files(request.manifest, request.options, exposure, here or made.images[0], reference, request.output)
        facts = stdio(request.manifest, request.options, reference)
        if here is not None:
            facts["image"] = here.config_digest
        return image_artifact(request, ABOUT.name, made, repository, facts)

    def taken(self, artifact: Artifact, manifest: Manifest, options: Any) -> Artifact:
        """The artifact, with the name that its image gets at the daemon."""
        from mcp_targets.docker.emitting import stdio

        images = artifact.facts.get("images", {})
        if artifact.kind != IMAGE or _architecture() not in images:
            raise _for_others(artifact)
        reference = artifact.facts["reference"]
        if artifact.path is None:
            # At the daemon an image goes by a tag; one that was pushed is the same under that of its content.
            reference = f"{_repository(manifest)}:{artifact.version}-{artifact.digest[7:19]}"
        facts = {"reference": reference, "image": images[_architecture()], **stdio(manifest, options, reference)}
        return replace(artifact, target=ABOUT.name, facts={**artifact.facts, **facts})

    def hosted(self, artifact: Artifact, manifest: Manifest, options: Any) -> Artifact:
        """The same of an image that mcp-pack did not make."""
        wrong = tuple(hosted.problems(manifest, options))
        if wrong:
            raise UserError(wrong)
        images = artifact.facts["images"]
        if _architecture() not in images:
            raise _for_others(artifact)
        reference = f"{_repository(manifest)}:{artifact.digest[7:19]}"
        facts = {"reference": reference, "image": images[_architecture()], hosted.HOSTED: True}
        facts[hosted.ARCHITECTURE] = _architecture()
        facts[hosted.BESIDE] = self.base_image(manifest, options) or _slim(find(manifest.tool.python).minor)
        return replace(artifact, facts={**artifact.facts, **facts})

    def trying(self, options: Any, host: str, port: int) -> Options:
        """For ``mcp-pack run``: published there, with no release kept but the current one."""
        tried: Options = options.model_copy(update={"host": host, "port": port or None, "keep": 0})
        return tried

    def desired(self, request: DesiredInput) -> tuple[Resource, ...]:
        """Image, network, services, the container and the front."""
        if "image" not in request.artifact.facts:
            raise _for_others(request.artifact)
        if hosted.HOSTED in request.artifact.facts:
            return hosted.resources(request, request.options)
        return resources(request, request.options)

    def world(self, request: WorldInput) -> DockerWorld:
        """The daemon, as far as it is this deployment's."""
        from mcp_targets.docker.world import DockerWorld  # no build asks a daemon

        return DockerWorld(request)


def _slim(minor: str) -> str:
    return f"python:{minor}-slim"


def _two_bases(manifest: Manifest, options: Options) -> tuple[Problem, ...]:
    if options.dockerfile is None or options.base is None:
        return ()
    return (
        Problem(
            "base and dockerfile both say what the tool's layers stand on",
            "keep one of them: a Dockerfile can begin FROM that base",
            Place(str(manifest.path), key="target.docker.dockerfile"),
        ),
    )


def _for_others(artifact: Artifact) -> UserError:
    return UserError(
        Problem(
            f"that artifact has no image for {_architecture()}",
            "build it for that architecture too: [target.docker] architectures",
            found=", ".join(sorted(artifact.facts.get("images", {}))) or artifact.kind,
        )
    )


def _repository(manifest: Manifest) -> str:
    """What images are called at the daemon."""
    return f"mcp-pack/{manifest.tool.name}"


def _architecture() -> str:
    """This machine's processor, as images call it."""
    name = machine.machine().lower()
    return ARCHITECTURES.get(name, name)

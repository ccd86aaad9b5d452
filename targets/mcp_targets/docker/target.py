"""The target ``docker``: the tool as a hardened container behind a front that keeps its port."""

from __future__ import annotations

import platform as machine
from typing import Any, Final

from mcp_packager.errors import Place, Problem
from mcp_packager.interpreters import Interpreter, find
from mcp_packager.manifest import Manifest
from mcp_packager.platforms import Platform
from mcp_packager.target import (
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
)
from mcp_targets.docker.options import Options
from mcp_targets.docker.render import resources
from mcp_targets.docker.support import SUPPORT
from mcp_targets.docker.world import DockerWorld

ABOUT: Final = About(
    name="docker",
    api=TARGET_API,
    summary="a container on Docker or Podman, with its services",
    options=Options,
    support=SUPPORT,
    capabilities=Capabilities(candidate=True, stdio=True),
)

_SOURCES: Final = frozenset({"env", "file"})
_MACHINES: Final = {"arm64": "aarch64", "amd64": "x86_64"}
_ARCHITECTURES: Final = {machine: architecture for architecture, machine in _MACHINES.items()}
_SYSTEM: Final = "manylinux_2_28"
"""What wheels may ask of the base: Debian 12 and 13, and every slim image of a Python that is served today."""


class DockerTarget:
    """Runs the tool as a container of an image that is made here."""

    about = ABOUT

    def check(self, manifest: Manifest, options: Any) -> tuple[Problem, ...]:  # noqa: ARG002  # the protocol's signature
        """Secrets that a daemon has no way to."""
        return tuple(
            Problem(
                f"the target docker cannot read the secret {name} from {secret.source(name)[0]}",
                'use from = "env:NAME" or "file:PATH" in the stage that is deployed here',
                Place(str(manifest.path), key=f"secrets.{name}.from"),
            )
            for name, secret in manifest.secrets.items()
            if secret.source(name)[0] not in _SOURCES
        )

    def exposure(self, manifest: Manifest, options: Any) -> Exposure:
        """This machine alone, unless it is told to serve the network or something in front of it does."""
        return exposure_of(manifest, loopback=options.is_loopback)

    def platforms(self, manifest: Manifest, options: Any) -> tuple[tuple[Platform, Interpreter], ...]:  # noqa: ARG002  # as above
        """Linux on this machine's processor, with the Python at hand: a container runs on the machine it is made on."""
        interpreter = find(manifest.tool.python)
        return ((Platform(interpreter.minor, f"{_machine()}-{_SYSTEM}"), interpreter),)

    def base_image(self, manifest: Manifest, options: Any) -> str:
        """The image that the tool's layers stand on."""
        ((platform, _),) = self.platforms(manifest, options)
        return options.base or f"python:{platform.python}-slim"

    def build(self, request: BuildInput) -> Artifact:
        """Write the image as an OCI layout; nothing is asked of a daemon."""
        from mcp_packager.image import assemble
        from mcp_targets.docker.emitting import stdio, write_files

        made = assemble(request)
        # The daemon takes the image for its own machine; the others are for a registry.
        here = made.of(_ARCHITECTURES.get(_machine(), "")) or made.images[0]
        repository = f"mcp-pack/{request.manifest.tool.name}"
        reference = f"{repository}:{made.tag}"
        exposure = self.exposure(request.manifest, request.options)
        write_files(request.manifest, request.options, exposure, here, reference, request.output)
        facts = {"image": here.config_digest, **stdio(request.manifest, request.options, reference)}
        return image_artifact(request, ABOUT.name, made, repository, facts)

    def desired(self, request: DesiredInput) -> tuple[Resource, ...]:
        """Image, network, services, the container and the front."""
        return resources(request, request.options)

    def world(self, request: WorldInput) -> DockerWorld:
        """The daemon, as far as it is this deployment's."""
        return DockerWorld(request)


def _machine() -> str:
    """This machine's processor, as Linux calls it."""
    name = machine.machine().lower()
    return _MACHINES.get(name, name)

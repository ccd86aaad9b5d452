"""The target ``local``: the bundle as a background process on this machine."""

from __future__ import annotations

import os
from typing import Any, Final

from mcp_packager.bundle import write_wheel
from mcp_packager.errors import Place, Problem
from mcp_packager.interpreters import Interpreter, find, host_platform
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
    unread_secrets,
)
from mcp_targets.local import parcel
from mcp_targets.local.options import Options
from mcp_targets.local.render import resources
from mcp_targets.local.support import SUPPORT
from mcp_targets.local.unit import missing
from mcp_targets.local.world import LocalWorld

ABOUT: Final = About(
    name="local",
    api=TARGET_API,
    summary="a background process on this machine",
    options=Options,
    support=SUPPORT,
    capabilities=Capabilities(candidate=True, stdio=True),
    warning="local does not isolate: the tool runs as you, and can read and write whatever you can",
)


class LocalTarget:
    """Runs the tool on this machine, under a supervisor of its own."""

    about = ABOUT

    def check(self, manifest: Manifest, options: Any) -> tuple[Problem, ...]:
        """Services that run nowhere, secrets that this machine has no way to, and ports that are wanted twice."""
        services = (
            Problem(
                f"the target local runs no services, and service {name} has no external address",
                f'run it yourself and add external = "host:port" under [services.{name}] or its stage',
                Place(str(manifest.path), key=f"services.{name}"),
            )
            for name, service in manifest.services.items()
            if service.external is None
        )
        return (
            *services,
            *unread_secrets(manifest, ABOUT.name),
            *_ports(manifest, options),
            *_units(manifest, options),
        )

    def exposure(self, manifest: Manifest, options: Any) -> Exposure:
        """This machine alone, unless it is told to serve the network or something in front of it does."""
        return exposure_of(manifest, loopback=options.is_loopback)

    def platforms(self, manifest: Manifest, options: Any) -> tuple[tuple[Platform, Interpreter], ...]:  # noqa: ARG002  # as above
        """This machine, with the interpreter at hand."""
        interpreter = find(manifest.tool.python)
        return ((host_platform(interpreter), interpreter),)

    def build(self, request: BuildInput) -> Artifact:
        """Write the wheel that ``uvx --from FILE NAME`` serves over stdio; what is deployed is the same bundle."""
        ((platform, bundle),) = request.bundles.items()
        wheel = write_wheel(bundle, request.manifest, request.output)
        tool = request.manifest.tool
        kept = parcel.parcel(bundle, request.output) if request.options.bundle else {}
        return Artifact(
            target=ABOUT.name,
            kind="wheel",
            tool=tool.name,
            version=tool.version,
            digest=f"sha256:{bundle.hash}",
            size=wheel.stat().st_size,
            contract_hash=request.contract["hash"],
            path=wheel.name,
            platform=str(platform),
            facts={"command": ["uvx", "--from", wheel.name, tool.name], **kept},
        )

    def taken(self, artifact: Artifact, manifest: Manifest, options: Any) -> Artifact:  # noqa: ARG002  # as above
        """What was built before, where this machine can run it."""
        return parcel.fitting(artifact, ABOUT.name)

    def desired(self, request: DesiredInput) -> tuple[Resource, ...]:
        """The process, its files and its supervisor."""
        return resources(request, request.options)

    def world(self, request: WorldInput) -> LocalWorld:
        """This machine, as far as it is this deployment's."""
        return LocalWorld(request)


def _ports(manifest: Manifest, options: Options) -> tuple[Problem, ...]:
    metrics = manifest.serve.metrics
    if metrics is None or metrics.port != options.port:
        return ()
    return (
        Problem(
            f"the tool and its metrics cannot both be on port {metrics.port}",
            "give one of them another port",
            Place(str(manifest.path), key="serve.metrics.port"),
            expected="a port other than that of [target.local]",
            found=str(metrics.port),
        ),
    )


def _units(manifest: Manifest, options: Options) -> tuple[Problem, ...]:
    if not options.install_unit or (why := missing(os.environ)) is None:
        return ()
    return (
        Problem(
            f"this machine has no systemd user units, so nothing can start the tool after a reboot: {why}",
            "leave --install-unit and install_unit away, and run mcp-pack deploy after a reboot",
            Place(str(manifest.path), key="target.local.install_unit"),
        ),
    )

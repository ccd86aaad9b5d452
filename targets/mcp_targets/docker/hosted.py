"""An image of somebody else's at the daemon: an MCP server that mcp-pack did not make and that knows nothing of it.

It is as hardened as any, and publishes its port itself: the front runs from a tool's own image, which this is none.
Pure: from data to data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from mcp_packager.errors import Place, Problem
from mcp_packager.target import (
    SOURCE,
    Generated,
    Lifetime,
    Phase,
    Ref,
    Resource,
    Value,
)
from mcp_targets.docker.render import CANDIDATE, NETWORK, SERVER

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest
    from mcp_packager.target import DesiredInput
    from mcp_targets.docker.options import Options

HOSTED: Final = "hosted"
"""The fact of such an artifact, and the field of its containers: command, variables and port."""


def problems(manifest: Manifest, options: Options) -> Iterator[Problem]:
    """What the manifest asks that nothing in such an image could do."""
    asked = {
        "secrets": (bool(manifest.secrets), "a secret"),
        "serve.auth": (manifest.serve.auth is not None, "who is calling"),
        "services": (bool(manifest.services), "a service"),
        "target.docker.architectures": (bool(options.architectures), "an architecture"),
    }
    for key, (there, what) in asked.items():
        if there:
            yield Problem(
                f"an image that mcp-pack did not make is not told {what}",
                "leave the key away in the stage that deploys it",
                Place(str(manifest.path), key=key),
            )


def resources(request: DesiredInput, options: Options) -> tuple[Resource, ...]:
    """Network, image, the candidate, and the server at its port."""
    facts = request.artifact.facts
    image = Resource(
        "image",
        request.artifact.digest.removeprefix("sha256:")[:16],
        {"id": facts["image"], "reference": facts["reference"], SOURCE: facts[SOURCE]},
        lifetime=Lifetime.RELEASE,
    )
    fields = _fields(request, options, image)
    place = {"host": options.host, "port": options.port or Generated("port")}
    return (
        Resource(*NETWORK, {"internal": False}),
        image,
        Resource(*CANDIDATE, fields, (NETWORK,), phase=Phase.CANDIDATE, lifetime=Lifetime.TRANSIENT),
        Resource(*SERVER, {**fields, **place}, (NETWORK,), phase=Phase.SWITCH),
    )


def _fields(request: DesiredInput, options: Options, image: Resource) -> Mapping[str, Value]:
    manifest = request.manifest
    return {
        HOSTED: {
            "command": list(options.command) if options.command else None,
            "env": dict(request.config["env"]),
            "port": options.image_port,
        },
        "memory": manifest.resources.memory,
        "cpu": manifest.resources.cpu,
        "disk": manifest.resources.disk,
        "pids": options.pids,
        "restart": options.restart,
        "log_size": options.log_size,
        "log_files": options.log_files,
        "path": manifest.serve.path,
        "auth": "none",
        "image": Ref(image.key, "id"),
        "start_timeout": options.start_timeout,
        "state": "running",
    }

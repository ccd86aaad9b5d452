"""An image of somebody else's at the daemon: an MCP server that mcp-pack did not make and that knows nothing of it.

It is as hardened as any, but for what its manifest lets it do, and a front holds its port as for any. Whatever needs a
Python (the front, a look at a service) runs beside it from another image, as there need be none in this one.
Pure: from data to data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.errors import Place, Problem
from mcp_packager.target import (
    SOURCE,
    Generated,
    Key,
    Lifetime,
    Ref,
    Resource,
    Value,
    digest,
    provided_env,
    secret_resources,
)
from mcp_targets.docker.render import FRONT, NETWORK, SETTINGS, alone, behind_a_front, inside, services

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest
    from mcp_packager.target import DesiredInput
    from mcp_targets.docker.options import Options

HOSTED: Final = "hosted"
"""The fact of such an artifact, and the field of its containers: what the image is told, and what it may do."""
BESIDE: Final = "beside"
"""The fact that names the image with a Python which stands beside it, and the field of whatever has to do with it."""
ARCHITECTURE: Final = "architecture"
READERS: Final = "readers"
"""The field of a secret that arrives as a file: which user reads it is the image's own choice."""


def problems(manifest: Manifest, options: Options) -> Iterator[Problem]:
    """What the manifest asks that nothing in such an image could do."""
    serve = manifest.serve
    asked = {
        "serve.auth": (serve.auth is not None, "who may call"),
        "serve.events": (serve.events is not None, "where to keep events"),
        "serve.rate": (serve.rate is not None, "how often somebody may call"),
        "serve.metrics": (serve.metrics is not None, "where to show metrics"),
        "serve.telemetry": (serve.telemetry is not None, "where to send traces"),
        "serve.audit": (serve.audit is not None, "where to write an audit"),
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
    """Network, both images, secrets, services, the server, and the front that holds its port."""
    facts, manifest = request.artifact.facts, request.manifest
    image = Resource(
        "image",
        request.artifact.digest.removeprefix("sha256:")[:16],
        {"id": facts["image"], "reference": facts["reference"], SOURCE: facts[SOURCE]},
        lifetime=Lifetime.RELEASE,
    )
    beside = _beside(facts)
    # A service is looked at from another container where it has no command of its own to be asked.
    looks = any(service.image and service.health.command is None for service in manifest.services.values())
    extra = (beside,) if options.front or looks else ()
    brought = services(manifest, options, (*extra, image)[0].key)
    fields = _fields(request, options, image)
    needs = (NETWORK, *(service.key for service in brought if service.kind == "service"))
    if options.front:
        settings = {name: fields[name] for name in (*SETTINGS, HOSTED)}
        name = digest({"image": image.name, **settings})[:12]
        served = behind_a_front(name, fields, needs, beside.key, options, port=options.image_port)
        served = tuple(_brought_along(each, beside) for each in served)
    else:
        served = alone(fields, needs, options)
    return (
        Resource(*NETWORK, {"internal": False}),
        image,
        *extra,
        *(_readable(each, manifest) for each in secret_resources(manifest)),
        *brought,
        *(replace(each, says=_loosened(options)) if HOSTED in each.fields else each for each in served),
    )


def _beside(facts: Mapping[str, Any]) -> Resource:
    """The image with a Python. What its public name meant when it was first brought there stays."""
    name = f"{BESIDE}-{digest([facts[BESIDE], facts[ARCHITECTURE]])[:12]}"
    reference = f"{facts['reference'].rpartition(':')[0]}:{name}"
    fields = {BESIDE: facts[BESIDE], ARCHITECTURE: facts[ARCHITECTURE], "reference": reference, "id": Generated("id")}
    return Resource("image", name, fields)


def _brought_along(resource: Resource, beside: Resource) -> Resource:
    """The front with its program in its own volume: the image that it runs from holds a Python and nothing of ours."""
    if resource.key != FRONT:
        return resource
    return replace(resource, fields={**resource.fields, BESIDE: beside.fields["reference"]})


def _readable(secret: Resource, manifest: Manifest) -> Resource:
    if manifest.secrets[secret.name].as_ == "env":
        return secret
    return replace(secret, fields={**secret.fields, READERS: "all"})


def _loosened(options: Options) -> str:
    """Where the image's own needs took something of the hardening, for the plan."""
    said = (
        f"runs as the user {options.image_user}" if options.image_user else "",
        "may write to its own files" if options.image_writable else "",
        f"keeps {', '.join(sorted(options.image_capabilities))}" if options.image_capabilities else "",
    )
    return "; ".join(filter(None, said))


def _fields(request: DesiredInput, options: Options, image: Resource) -> Mapping[str, Value]:
    manifest = request.manifest
    addresses = {
        name: f"{name}:{service.ports[0]}" if service.image else inside(service.external or "")
        for name, service in manifest.services.items()
    }
    return {
        HOSTED: {
            "command": list(options.command) if options.command else None,
            "env": {**request.config["env"], **provided_env(manifest, addresses)},
            "port": options.image_port,
            "user": options.image_user,
            "writable": options.image_writable,
            "capabilities": sorted(options.image_capabilities),
            "files": sorted(name for name, secret in manifest.secrets.items() if secret.as_ == "file"),
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
        "secrets": {name: Ref(Key("secret", name), "volume") for name in sorted(manifest.secrets)},
        "start_timeout": options.start_timeout,
        "state": "running",
    }

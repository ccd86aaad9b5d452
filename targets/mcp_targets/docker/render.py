"""What should be at the daemon, as resources. Pure: from data to data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp_packager.target import (
    DesiredInput,
    Generated,
    Key,
    Lifetime,
    Phase,
    Ref,
    Resource,
    Scope,
    Value,
    auth_mode,
    digest,
    key_resources,
    keys_of,
    secret_resources,
    with_audit_file,
    with_keys,
    with_secrets,
    with_serve,
    with_services,
)
from mcp_targets.docker.options import Options

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

NETWORK: Final = Key("network", "network")
FRONT: Final = Key("front", "front")
ROUTE: Final = Key("route", "route")

PORT: Final = 8000
CONFIG_FOLDER: Final = "/run/mcp-tool/config"
KEYS_FOLDER: Final = "/run/mcp-tool/keys"
SECRETS_FOLDER: Final = "/run/secrets"
VALUE: Final = "value"
"""The file in the volume of a secret or a key."""

FRONT_VERSION: Final = 1
"""``mcp_tool.front.VERSION`` of the front that is wanted."""

SERVICE_RESTART: Final = "unless-stopped"

_SCRATCH: Final = 64 * 1024 * 1024
_DRAIN_DELAY: Final = 1.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST: Final = "host.docker.internal"


def resources(request: DesiredInput, options: Options) -> tuple[Resource, ...]:
    """Everything one deployment is made of."""
    facts = request.artifact.facts
    image = Resource(
        "image",
        request.artifact.digest.removeprefix("sha256:")[:16],
        {"id": facts["image"], "reference": facts["reference"]},
        lifetime=Lifetime.RELEASE,
    )
    document = _config(request)
    config = Resource("config", digest(document)[:16], {"document": document}, lifetime=Lifetime.RELEASE)
    services = tuple(_services(request.manifest, image.key))
    container = _container(request, options, image.key, config.key, services)
    return (
        Resource(*NETWORK, {"internal": False}),
        image,
        *secret_resources(request.manifest),
        *key_resources(document),
        config,
        *services,
        container,
        Resource(
            *FRONT,
            {
                "host": options.host,
                "port": options.port or Generated("port"),
                "version": FRONT_VERSION,
                "image": Ref(image.key, "id"),
            },
            (NETWORK,),
            phase=Phase.SWITCH,
        ),
        Resource(*ROUTE, {"upstream": address(container.name)}, (FRONT, container.key), phase=Phase.SWITCH),
    )


def address(container: str) -> str:
    """Where the front finds a tool's container, by the alias that it has on the deployment's network."""
    return f"{container}:{PORT}"


def _container(
    request: DesiredInput, options: Options, image: Key, config: Key, services: tuple[Resource, ...]
) -> Resource:
    manifest = request.manifest
    settings: dict[str, Value] = {
        "memory": manifest.resources.memory,
        "cpu": manifest.resources.cpu,
        "disk": manifest.resources.disk,
        "pids": options.pids,
        "restart": options.restart,
        "log_size": options.log_size,
        "log_files": options.log_files,
        "path": manifest.serve.path,
        "auth": auth_mode(request.config),
    }
    # Containers of two releases run side by side, so each has a name of its own.
    name = digest({"image": image.name, "config": config.name, **settings})[:12]
    fields: dict[str, Value] = {
        **settings,
        "image": Ref(image, "id"),
        "config": Ref(config, "volume"),
        "secrets": {name: Ref(Key("secret", name), "volume") for name in sorted(manifest.secrets)},
        "keys": {key.name: Ref(key, "volume") for key in keys_of(request.config)},
        "start_timeout": options.start_timeout,
        "state": "running",
    }
    needs = (NETWORK, *(service.key for service in services if service.kind == "service"))
    return Resource("container", name, fields, needs, phase=Phase.CANDIDATE)


def _services(manifest: Manifest, tool: Key) -> list[Resource]:
    """Services with an image of their own, and the volumes of their data.

    They need the tool's image: whether one is up is seen from a container beside it, which that image can be.
    """
    made: list[Resource] = []
    for name, service in sorted(manifest.services.items()):
        if service.image is None:
            continue
        volume = None
        if service.volume is not None:
            volume = Resource("volume", name, {"path": service.volume.path}, scope=Scope.DATA)
            made.append(volume)
        health = service.health
        fields: dict[str, Value] = {
            "image": service.image,
            "command": None if service.command is None else list(service.command),
            "ports": list(service.ports),
            "env": dict(service.env),
            "secrets": {variable: Ref(Key("secret", secret), "volume") for variable, secret in service.secrets.items()},
            "volume": None if volume is None else Ref(volume.key, "volume"),
            "data": None if service.volume is None else service.volume.path,
            "memory": service.resources.memory,
            "cpu": service.resources.cpu,
            "health": None if health.command is None else list(health.command),
            "start": health.start + health.retries * (health.interval + health.timeout),
            "state": "running",
        }
        made.append(Resource("service", name, fields, (NETWORK, tool)))
    return made


def _config(request: DesiredInput) -> dict[str, Any]:
    manifest = request.manifest
    addresses = {
        name: f"{name}:{service.ports[0]}" if service.image else inside(service.external or "")
        for name, service in manifest.services.items()
    }
    places = {name: {"file": f"{SECRETS_FOLDER}/{name}/{VALUE}"} for name in manifest.secrets}
    config = with_services(with_secrets(request.config, places), manifest, addresses)
    if config["metrics"] is not None:
        config = {**config, "metrics": {"host": "0.0.0.0", **config["metrics"]}}  # noqa: S104 - a network of its own
    if config["log"]["audit"] == "file":
        config = {**config, "log": {**config["log"], "audit": "stderr"}}
    return with_serve(
        with_keys(
            with_audit_file(config, None), request.identity, lambda key: {"file": f"{KEYS_FOLDER}/{key.name}/{VALUE}"}
        ),
        drain_delay=drain_delay(manifest),
    )


def drain_delay(manifest: Manifest) -> float:
    """Seconds in which clients of a server that is about to go are told to connect anew."""
    return min(_DRAIN_DELAY, manifest.serve.drain)


def scratch(manifest: Manifest) -> int:
    """Bytes of ``/tmp``, which is in memory."""
    return manifest.resources.disk or _SCRATCH


def inside(address: str) -> str:
    """An address as a container reaches it: this machine's own goes by another name there."""
    host, _, port = address.rpartition(":")
    return f"{_HOST}:{port}" if host.strip("[]") in _LOOPBACK else address

"""What should be at the daemon, as resources. Pure: from data to data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.target import (
    SOURCE,
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
    from mcp_packager.manifest.service import Health

NETWORK: Final = Key("network", "network")
FRONT: Final = Key("front", "front")
ROUTE: Final = Key("route", "route")
CANDIDATE: Final = Key("candidate", "candidate")
"""Without a front: the new version where this machine alone reaches it, for as long as a deploy looks at it."""
SERVER: Final = Key("server", "server")
"""Without a front: the container that publishes the port."""

PORT: Final = 8000
CONFIG_FOLDER: Final = "/run/mcp-tool/config"
KEYS_FOLDER: Final = "/run/mcp-tool/keys"
SECRETS_FOLDER: Final = "/run/secrets"
VALUE: Final = "value"
"""The file in the volume of a secret or a key."""

FRONT_VERSION: Final = 1
"""``mcp_tool.front.VERSION`` of the front that is wanted."""

SERVICE_RESTART: Final = "unless-stopped"

HEALTH_INTERVAL: Final = 30.0
HEALTH_TIMEOUT: Final = 5.0
HEALTH_RETRIES: Final = 3
"""How often and how long the daemon asks the tool whether it is ready, in seconds, and after how many it says so."""

SCRATCH: Final = 64 * 1024 * 1024
"""Bytes of ``/tmp`` where ``[resources] disk`` says nothing."""
SETTINGS: Final = ("memory", "cpu", "disk", "pids", "restart", "log_size", "log_files", "path", "auth")
"""What of a container, beside what it runs, makes another one of it."""
_DRAIN_DELAY: Final = 1.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST: Final = "host.docker.internal"


def resources(request: DesiredInput, options: Options) -> tuple[Resource, ...]:
    """Everything one deployment is made of."""
    facts = request.artifact.facts
    image = Resource(
        "image",
        request.artifact.digest.removeprefix("sha256:")[:16],
        {
            "id": facts["image"],
            "reference": facts["reference"],
            **({SOURCE: facts[SOURCE]} if SOURCE in facts else {}),
        },
        lifetime=Lifetime.RELEASE,
    )
    document = _config(request)
    config = Resource("config", digest(document)[:16], {"document": document}, lifetime=Lifetime.RELEASE)
    brought = services(request.manifest, options, image.key)
    fields = _fields(request, options, image.key, config.key)
    needs = (NETWORK, *(service.key for service in brought if service.kind == "service"))
    settings = {name: fields[name] for name in SETTINGS}
    name = digest({"image": image.name, "config": config.name, **settings})[:12]
    behind = behind_a_front(name, fields, needs, image.key, options)
    return (
        Resource(*NETWORK, {"internal": False}),
        image,
        *secret_resources(request.manifest),
        *key_resources(document),
        config,
        *brought,
        *(behind if options.front else alone(fields, needs, options)),
    )


def behind_a_front(
    name: str, fields: Mapping[str, Value], needs: tuple[Key, ...], image: Key, options: Options, *, port: int = PORT
) -> tuple[Resource, ...]:
    """The front, and the tool under a name of its content: containers of two releases run side by side.

    ``image`` is what the front runs from; ``port`` is where the tool listens in its own container.
    """
    front = {
        "host": options.host,
        "port": options.port or Generated("port"),
        "version": FRONT_VERSION,
        "image": Ref(image, "id"),
    }
    return (
        Resource("container", name, fields, needs, phase=Phase.CANDIDATE),
        Resource(*FRONT, front, (NETWORK,), phase=Phase.SWITCH),
        Resource(*ROUTE, {"upstream": address(name, port)}, (FRONT, Key("container", name)), phase=Phase.SWITCH),
    )


def alone(fields: Mapping[str, Value], needs: tuple[Key, ...], options: Options) -> tuple[Resource, ...]:
    """The tool at the port itself, and its like beside it for as long as the deploy looks at the new version."""
    place = {"host": options.host, "port": options.port or Generated("port")}
    return (
        Resource(*CANDIDATE, fields, needs, phase=Phase.CANDIDATE, lifetime=Lifetime.TRANSIENT),
        Resource(*SERVER, {**fields, **place}, needs, phase=Phase.SWITCH),
    )


def address(container: str, port: int = PORT) -> str:
    """Where the front finds a tool's container, by the alias that it has on the deployment's network."""
    return f"{container}:{port}"


def _fields(request: DesiredInput, options: Options, image: Key, config: Key) -> dict[str, Value]:
    """How the tool's container is wanted."""
    manifest = request.manifest
    return {
        "memory": manifest.resources.memory,
        "cpu": manifest.resources.cpu,
        "disk": manifest.resources.disk,
        "pids": options.pids,
        "restart": options.restart,
        "log_size": options.log_size,
        "log_files": options.log_files,
        "path": manifest.serve.path,
        "auth": auth_mode(request.config),
        "image": Ref(image, "id"),
        "config": Ref(config, "volume"),
        "secrets": {name: Ref(Key("secret", name), "volume") for name in sorted(manifest.secrets)},
        "keys": {key.name: Ref(key, "volume") for key in keys_of(request.config)},
        "start_timeout": options.start_timeout,
        "state": "running",
    }


def services(manifest: Manifest, options: Options, python: Key) -> list[Resource]:
    """Services with an image of their own, and the volumes of their data.

    They need the image ``python``: whether one is up is seen from a container beside it, which that image can be.
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
            "log_size": options.log_size,
            "log_files": options.log_files,
            "health": _asked(service.health),
            "start": health.start + health.retries * (health.interval + health.timeout),
            "state": "running",
        }
        made.append(Resource("service", name, fields, (NETWORK, python)))
    return made


def _asked(health: Health) -> dict[str, Value] | None:
    """What a service is asked to know whether it is well; ``None`` where its manifest names no command."""
    if health.command is None:
        return None
    return {
        "command": list(health.command),
        "interval": health.interval,
        "timeout": health.timeout,
        "retries": health.retries,
        "start": health.start,
    }


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
    return manifest.resources.disk or SCRATCH


def inside(address: str) -> str:
    """An address as a container reaches it: this machine's own goes by another name there."""
    host, _, port = address.rpartition(":")
    return f"{_HOST}:{port}" if host.strip("[]") in _LOOPBACK else address

"""What should be on this machine, as resources. Pure: from data to data."""

from __future__ import annotations

from typing import Any, Final

from mcp_packager.target import (
    DesiredInput,
    Generated,
    Key,
    Lifetime,
    Phase,
    Ref,
    Resource,
    Value,
    auth_mode,
    digest,
    key_resources,
    secret_resources,
    with_audit_file,
    with_keys,
    with_secrets,
    with_serve,
    with_services,
)
from mcp_targets.local.options import Options
from mcp_targets.local.parcel import PYTHON

HOME: Final = Key("home", "home")
SUPERVISOR: Final = Key("supervisor", "supervisor")
CANDIDATE: Final = Key("server", "candidate")
SERVER: Final = Key("server", "server")
UNIT: Final = Key("unit", "unit")

_DRAIN_DELAY: Final = 1.0
"""Most seconds in which clients of the old server are told to connect anew."""


def resources(request: DesiredInput, options: Options) -> tuple[Resource, ...]:
    """Everything one deployment is made of."""
    hash_of_bundle = request.artifact.digest.removeprefix("sha256:")
    bundle = Resource("bundle", hash_of_bundle[:16], {"digest": hash_of_bundle}, (HOME,), lifetime=Lifetime.RELEASE)
    document = _config(request, options)
    config = Resource("config", digest(document)[:16], {"document": document}, (HOME,), lifetime=Lifetime.RELEASE)
    python = _python(request)
    fields: dict[str, Value] = {
        "bundle": Ref(bundle.key, "path"),
        "config": Ref(config.key, "path"),
        "config_digest": Ref(config.key, "digest"),
        "python": python,
        "path": request.manifest.serve.path,
        "auth": auth_mode(document),
        "log_size": options.log_size,
        "log_files": options.log_files,
        "start_timeout": options.start_timeout,
        "state": "running",
    }
    return (
        Resource(*HOME, {"identity": request.identity.as_json()}),
        bundle,
        *secret_resources(request.manifest, (HOME,)),
        *key_resources(document, (HOME,)),
        config,
        Resource(*SUPERVISOR, {"python": python}, (HOME,)),
        *_unit(python, options),
        Resource(
            *CANDIDATE,
            fields | {"host": options.host if options.is_loopback else "127.0.0.1"},
            (SUPERVISOR,),
            phase=Phase.CANDIDATE,
            lifetime=Lifetime.TRANSIENT,
        ),
        Resource(
            *SERVER,
            fields | {"host": options.host, "port": options.port or Generated("port")},
            (SUPERVISOR,),
            phase=Phase.SWITCH,
        ),
    )


def _python(request: DesiredInput) -> str:
    """The interpreter that the bundle was built with, or the one that was found for a bundle built before."""
    if PYTHON in request.artifact.facts:
        return str(request.artifact.facts[PYTHON])
    (interpreter,) = request.interpreters.values()
    return str(interpreter.path)


def _unit(python: str, options: Options) -> tuple[Resource, ...]:
    """What starts the supervisor after a reboot, where that is asked for."""
    if not options.install_unit:
        return ()
    return (Resource(*UNIT, {"python": python, "whole": True, "enabled": True}, (SUPERVISOR,)),)


def _config(request: DesiredInput, options: Options) -> dict[str, Any]:
    manifest = request.manifest
    addresses = {name: service.external or "" for name, service in manifest.services.items()}
    places = {name: {"file": Ref(Key("secret", name), "path")} for name in manifest.secrets}
    config = with_services(with_secrets(request.config, places), manifest, addresses)
    if config["metrics"] is not None:
        config = {**config, "metrics": {"host": options.host, **config["metrics"]}}
    return with_serve(
        with_keys(
            with_audit_file(config, Ref(HOME, "audit")), request.identity, lambda key: {"file": Ref(key, "path")}
        ),
        drain_delay=min(_DRAIN_DELAY, manifest.serve.drain),
    )

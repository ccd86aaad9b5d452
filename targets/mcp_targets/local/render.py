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
    digest,
    provided_env,
    with_env,
    with_secrets,
    with_serve,
)
from mcp_targets.local.options import Options

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
    secrets = tuple(_secrets(request))
    document = _config(request)
    config = Resource("config", digest(document)[:16], {"document": document}, (HOME,), lifetime=Lifetime.RELEASE)
    (interpreter,) = request.interpreters.values()
    fields: dict[str, Value] = {
        "bundle": Ref(bundle.key, "path"),
        "config": Ref(config.key, "path"),
        "config_digest": Ref(config.key, "digest"),
        "python": str(interpreter.path),
        "host": options.host,
        "path": request.manifest.serve.path,
        "log_size": options.log_size,
        "log_files": options.log_files,
        "start_timeout": options.start_timeout,
        "state": "running",
    }
    return (
        Resource(*HOME, {"identity": request.identity.as_json()}),
        bundle,
        *secrets,
        config,
        Resource(*SUPERVISOR, {"python": str(interpreter.path)}, (HOME,)),
        *_unit(str(interpreter.path), options),
        Resource(*CANDIDATE, fields, (SUPERVISOR,), phase=Phase.CANDIDATE, lifetime=Lifetime.TRANSIENT),
        Resource(
            *SERVER,
            fields | {"port": options.port or Generated("port")},
            (SUPERVISOR,),
            phase=Phase.SWITCH,
        ),
    )


def _unit(python: str, options: Options) -> tuple[Resource, ...]:
    """What starts the supervisor after a reboot, where that is asked for."""
    if not options.install_unit:
        return ()
    return (Resource(*UNIT, {"python": python, "whole": True, "enabled": True}, (SUPERVISOR,)),)


def _secrets(request: DesiredInput) -> list[Resource]:
    return [
        Resource(
            "secret",
            name,
            {
                "source": ":".join(secret.source(name)),
                "required": secret.required,
                "version": Generated("version"),
            },
            (HOME,),
        )
        for name, secret in sorted(request.manifest.secrets.items())
    ]


def _config(request: DesiredInput) -> dict[str, Any]:
    manifest = request.manifest
    addresses = {name: service.external or "" for name, service in manifest.services.items()}
    places = {name: {"file": Ref(Key("secret", name), "path")} for name in manifest.secrets}
    config = with_env(request.config, provided_env(manifest, addresses))
    return with_serve(with_secrets(config, places), drain_delay=min(_DRAIN_DELAY, manifest.serve.drain))

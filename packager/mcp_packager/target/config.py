"""The config a running server reads: what of the manifest and the stage it must know, made from data alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcp_packager.target.exposure import Exposure, auth_document
from mcp_packager.target.identity import Identity
from mcp_packager.target.release import Call
from mcp_packager.target.values import Value

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

CONFIG_SCHEMA = 1


def base_config(manifest: Manifest, target: str, exposure: Exposure = Exposure.LOOPBACK) -> dict[str, Any]:
    """The part of ``config.json`` that follows from manifest and stage; the target adds what its place needs.

    Every declared secret stands as ``{"env": NAME}``, the keys that callers show too: where a target delivers them
    otherwise, it says so with :func:`with_secrets`. Those keys are the server's alone: they are not among
    ``secrets``, which the author's code gets. Times are seconds, sizes bytes.
    """
    serve = manifest.serve
    document: dict[str, Any] = {
        "path": serve.path,
        "public_url": serve.public_url,
        "timeout": serve.timeout,
        "concurrency": serve.concurrency,
        "allowed_hosts": list(serve.hosts),
        "allowed_origins": list(serve.origins),
        "auth": auth_document(serve.auth, exposure),
        "rate": None if serve.rate is None else serve.rate.model_dump(mode="json"),
        "events": _events(serve.events),
        "trusted_proxies": list(serve.trusted_proxies),
        "max_body": serve.max_body,
        "drain_delay": serve.drain,
    }
    return {
        "schema": CONFIG_SCHEMA,
        "stage": manifest.stage,
        "target": target,
        "serve": document,
        "metrics": None if serve.metrics is None else serve.metrics.model_dump(mode="json"),
        "telemetry": None if serve.telemetry is None else serve.telemetry.model_dump(mode="json"),
        "env": dict(manifest.env),
        "secrets": {name: {"env": name} for name in manifest.code_secrets},
        "log": {"audit": "none" if serve.audit is None else serve.audit.to},
    }


def _events(events: str | None) -> dict[str, str] | None:
    if events is None:
        return None
    scheme, _, rest = events.partition(":")
    return {"env": rest} if scheme == "env" else {"url": events}


def with_secrets(config: Mapping[str, Any], places: Mapping[str, Value]) -> dict[str, Any]:
    """The config with each secret's place; ``places`` holds ``{"file": …}`` or ``{"env": …}``, Refs allowed.

    Each of them is put wherever the config names it: among the secrets of the code, as a key that callers show, or as
    what holds the address of the events.
    """
    serve = dict(config["serve"])
    match serve.get("auth"):
        case {"mode": "bearer", "keys": keys}:
            serve["auth"] = {"mode": "bearer", "keys": [_placed(key, places) for key in keys]}
    serve["events"] = _placed(serve.get("events"), places)
    secrets = {name: places.get(name, place) for name, place in config["secrets"].items()}
    return {**config, "serve": serve, "secrets": secrets}


def _placed(reference: Value, places: Mapping[str, Value]) -> Value:
    match reference:
        case {"env": name}:
            return places.get(name, reference)
        case _:
            return reference


def with_serve(config: Mapping[str, Any], **settings: Value) -> dict[str, Any]:
    """The config with some of the server's settings changed."""
    return {**config, "serve": {**config["serve"], **settings}}


def with_env(config: Mapping[str, Any], env: Mapping[str, Value]) -> dict[str, Any]:
    """The config with more environment for the author's code."""
    return {**config, "env": {**config["env"], **env}}


def with_audit_file(config: Mapping[str, Any], file: Value) -> dict[str, Any]:
    """The config with the place of the audit stream, where the manifest wants it in a file; ``file`` may be a Ref."""
    log = config["log"]
    return {**config, "log": {**log, "audit": {"file": file}}} if log["audit"] == "file" else dict(config)


def with_services(config: Mapping[str, Any], manifest: Manifest, addresses: Mapping[str, str]) -> dict[str, Any]:
    """The config with what the services provide, and their addresses, without which the server is not ready.

    ``addresses`` holds the ``host:port`` at which the tool finds each service.
    """
    reached = {name: addresses[name] for name in manifest.services}
    return {**with_env(config, provided_env(manifest, addresses)), "dependencies": reached}


def provided_env(manifest: Manifest, addresses: Mapping[str, str]) -> dict[str, str]:
    """What the tool gets as environment of each service, given the ``host:port`` at which it finds each."""
    env: dict[str, str] = {}
    for name, service in manifest.services.items():
        host, _, port = addresses[name].rpartition(":")
        for variable, text in service.provides.items():
            env[variable] = text.replace("{host}", host).replace("{port}", port)
    return env


def identity_of(manifest: Manifest) -> Identity:
    """Whose the deployment is: project (default: the tool), tool and stage."""
    return Identity(project=manifest.tool.project_id, tool=manifest.tool.name, stage=manifest.stage)


def calls_of(manifest: Manifest) -> tuple[Call, ...]:
    """The calls that a deploy makes, as data that a release keeps."""
    return tuple(
        Call(
            tool=call.tool,
            arguments=dict(call.arguments),
            error=call.expect.error,
            contains=call.expect.contains,
            structured=call.expect.structured,
            timeout=call.timeout,
        )
        for call in manifest.verify
    )

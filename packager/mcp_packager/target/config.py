"""The config a running server reads: what of the manifest and the stage it must know, made from data alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcp_packager.target.identity import Identity
from mcp_packager.target.release import Call
from mcp_packager.target.values import Value

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

CONFIG_SCHEMA = 1


def base_config(manifest: Manifest, target: str) -> dict[str, Any]:
    """The part of ``config.json`` that follows from manifest and stage; the target adds what its place needs.

    Every declared secret stands as ``{"env": NAME}``: where a target delivers it otherwise, it says so with
    :func:`with_secrets`. Times are seconds.
    """
    serve = manifest.serve
    document: dict[str, Any] = {
        "path": serve.path,
        "public_url": serve.public_url,
        "timeout": serve.timeout,
        "concurrency": serve.concurrency,
        "allowed_hosts": list(serve.hosts),
        "allowed_origins": list(serve.origins),
        "auth": None
        if serve.auth is None
        else serve.auth.model_dump(mode="json", exclude_defaults=True, exclude={"insecure_public"}),
        "drain_delay": serve.drain,
    }
    return {
        "schema": CONFIG_SCHEMA,
        "stage": manifest.stage,
        "target": target,
        "serve": document,
        "env": dict(manifest.env),
        "secrets": {name: {"env": name} for name in manifest.secrets},
    }


def with_secrets(config: Mapping[str, Any], places: Mapping[str, Value]) -> dict[str, Any]:
    """The config with each secret's place; ``places`` holds ``{"file": …}`` or ``{"env": …}``, Refs allowed."""
    return {**config, "secrets": dict(places)}


def with_serve(config: Mapping[str, Any], **settings: Value) -> dict[str, Any]:
    """The config with some of the server's settings changed."""
    return {**config, "serve": {**config["serve"], **settings}}


def with_env(config: Mapping[str, Any], env: Mapping[str, Value]) -> dict[str, Any]:
    """The config with more environment for the author's code."""
    return {**config, "env": {**config["env"], **env}}


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

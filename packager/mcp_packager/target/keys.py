"""What every target keeps for its server: the secrets of the manifest, and keys that nobody else has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.target.config import with_serve
from mcp_packager.target.identity import Identity
from mcp_packager.target.resources import Resource
from mcp_packager.target.values import Generated, Key, Value

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

PROBE: Final = Key("key", "probe")
"""Signs the deploy's own tokens."""
STATE: Final = Key("key", "state")
"""Seals what a question to the user holds, so that one asked before a redeploy is answered after it."""
KEY_BYTES: Final = 32


def auth_mode(config: Mapping[str, Any]) -> str:
    """How callers prove who they are, in the word of ``serve.auth.mode``; ``none`` where nobody is asked."""
    auth = config["serve"]["auth"]
    return "none" if auth is None else str(auth["mode"])


def keys_of(config: Mapping[str, Any]) -> tuple[Key, ...]:
    """The keys that a server with this config needs."""
    return (STATE,) if auth_mode(config) == "none" else (PROBE, STATE)


def key_resources(config: Mapping[str, Any], depends: tuple[Key, ...] = ()) -> tuple[Resource, ...]:
    """The keys, as resources: made once, and kept."""
    return tuple(Resource(*key, {"bytes": KEY_BYTES, "made": Generated("made")}, depends) for key in keys_of(config))


def secret_resources(
    manifest: Manifest, depends: tuple[Key, ...] = (), names: Iterable[str] | None = None
) -> tuple[Resource, ...]:
    """The manifest's secrets, as resources under their names; ``names``: only those."""
    wanted = manifest.secrets.keys() if names is None else set(names)
    return tuple(
        Resource(
            "secret",
            name,
            {"source": ":".join(secret.source(name)), "required": secret.required, "version": Generated("version")},
            depends,
        )
        for name, secret in sorted(manifest.secrets.items())
        if name in wanted
    )


def with_keys(config: Mapping[str, Any], identity: Identity, place: Callable[[Key], Value]) -> dict[str, Any]:
    """The config with the place of each key that it needs; ``place`` answers ``{"file": …}`` or ``{"env": …}``."""
    probe = {"key": place(PROBE), "audience": identity.audience} if PROBE in keys_of(config) else None
    return with_serve(config, probe=probe, state_keys=[place(STATE)])

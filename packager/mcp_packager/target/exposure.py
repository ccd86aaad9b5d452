"""Who can reach what a target makes, and so who must be asked who they are. The one place that decides it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mcp_packager.errors import Place, Problem

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest
    from mcp_packager.manifest.serve import Auth as AuthSection


class Exposure(StrEnum):
    """Who can reach an endpoint, as far as the target can say from manifest and options."""

    LOOPBACK = "loopback"
    """Whoever uses this machine."""
    NETWORK = "network"
    """Whoever is in a network that is not everybody's."""
    INTERNET = "internet"
    """Everybody."""
    PLATFORM = "platform"
    """Everybody, unless the platform authenticates callers (``mode = "iam"``), which it can."""


_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def exposure_of(manifest: Manifest, *, loopback: bool) -> Exposure:
    """Who can reach what this machine serves; ``loopback``: at an address that only it has.

    A public URL that is not this machine's says that something in front of it lets others in.
    """
    shown = urlsplit(manifest.serve.public_url or "").hostname
    return Exposure.LOOPBACK if loopback and (shown is None or shown in _LOOPBACK) else Exposure.NETWORK


def auth_document(auth: AuthSection | None, exposure: Exposure) -> dict[str, Any] | None:
    """``serve.auth`` of the config: what the manifest says, else what is safe there; ``None`` asks nobody.

    Keys stand as ``{"env": NAME}`` of the secret of that name.
    """
    if auth is None:
        return {"mode": "iam"} if exposure is Exposure.PLATFORM else None
    document = auth.model_dump(mode="json", exclude_defaults=True, exclude={"insecure_public"})
    if auth.mode == "bearer":
        document["keys"] = [{"env": name} for name in auth.keys]
    return document


def auth_problems(manifest: Manifest, exposure: Exposure, target: str) -> tuple[Problem, ...]:
    """What is wrong with who may call, where that many can reach it."""
    auth = manifest.serve.auth
    faces_everybody = exposure in {Exposure.INTERNET, Exposure.PLATFORM}
    if auth is None and exposure is Exposure.INTERNET:
        return (
            _problem(
                manifest,
                f"everybody can reach the target {target}, and nobody is asked who is calling",
                'add [serve.auth] with mode = "bearer", "jwt" or "oidc"; for a tool that is meant for everybody, '
                'mode = "none" with insecure_public = true',
            ),
        )
    if auth is None:
        return ()
    if auth.mode == "iam" and exposure is not Exposure.PLATFORM:
        return (
            _problem(
                manifest,
                f'nothing in front of the target {target} asks who is calling, so mode = "iam" would let everybody in',
                'use mode = "bearer", "jwt" or "oidc" in the stage that is deployed there',
                found='mode = "iam"',
            ),
        )
    if auth.mode == "none" and faces_everybody and not auth.insecure_public:
        return (
            _problem(
                manifest,
                f"everybody can reach the target {target}, and nobody is asked who is calling",
                'use mode = "bearer", "jwt" or "oidc"; for a tool that is meant for everybody, '
                "say insecure_public = true beside it",
                found='mode = "none"',
            ),
        )
    return ()


def auth_warning(auth: dict[str, Any] | None, exposure: Exposure) -> str | None:
    """What to say where callers are asked nothing; ``auth`` is that of the config."""
    if auth is not None and auth["mode"] != "none":
        return None
    match exposure:
        case Exposure.NETWORK:
            return "whoever reaches it in its network may call: [serve.auth] says who may"
        case Exposure.INTERNET | Exposure.PLATFORM:
            return "everybody may call: [serve.auth] says so"
        case Exposure.LOOPBACK:
            return None


def _problem(manifest: Manifest, what: str, fix: str, *, found: str | None = None) -> Problem:
    key = "serve.auth" if manifest.serve.auth is None else "serve.auth.mode"
    return Problem(what, fix, Place(str(manifest.path), key=key), found=found)

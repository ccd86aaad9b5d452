"""What the target ``shed`` says of itself, and what it wants in the world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcp_packager.errors import Problem
from mcp_packager.interpreters import Interpreter, find, host_platform
from mcp_packager.manifest import Manifest, Section
from mcp_packager.manifest.schema import portable_keys
from mcp_packager.platforms import Platform
from mcp_packager.target import (
    HONOURS,
    TARGET_API,
    About,
    Artifact,
    BuildInput,
    Capabilities,
    DesiredInput,
    Exposure,
    Generated,
    Lifetime,
    Phase,
    Ref,
    Resource,
    Support,
    WorldInput,
    digest,
    maps,
    refuses,
    with_serve,
)

from .world import ShedWorld

_HONOURED: Final = frozenset({"env", "serve.path", "serve.timeout", "serve.concurrency", "verify.call"})
_DRAIN_DELAY: Final = 0.3
"""Seconds in which connections that the proxy just made to the old server are still taken."""
_REFUSED: Final = ("secrets.", "services.", "serve.auth")


def _said(key: str) -> Support:
    if key in _HONOURED:
        return HONOURS
    return refuses("a shed has none of it") if key.startswith(_REFUSED) else maps("left as it is")


class Options(Section):
    """``[target.shed]``."""

    keep: int = 5


class ShedTarget:
    """Every version is a server of its own; a proxy leads clients to one of them."""

    @property
    def about(self) -> About:
        return About(
            name="shed",
            api=TARGET_API,
            summary="servers behind a small proxy",
            options=Options,
            support={key: _said(key) for key in portable_keys()},
            capabilities=Capabilities(candidate=True, logs=False),
        )

    def check(self, manifest: Manifest, options: Any) -> tuple[Problem, ...]:
        return ()

    def exposure(self, manifest: Manifest, options: Any) -> Exposure:
        return Exposure.LOOPBACK

    def platforms(self, manifest: Manifest, options: Any) -> tuple[tuple[Platform, Interpreter], ...]:
        interpreter = find(manifest.tool.python)
        return ((host_platform(interpreter), interpreter),)

    def build(self, request: BuildInput) -> Artifact:
        ((platform, bundle),) = request.bundles.items()
        (request.output / "bundle.txt").write_text(f"{bundle.hash}\n", encoding="utf-8")
        tool = request.manifest.tool
        return Artifact(
            target="shed",
            kind="name",
            tool=tool.name,
            version=tool.version,
            digest=f"sha256:{bundle.hash}",
            size=0,
            contract_hash=request.contract["hash"],
            path="bundle.txt",
            platform=str(platform),
        )

    def desired(self, request: DesiredInput) -> tuple[Resource, ...]:
        (interpreter,) = request.interpreters.values()
        hashed = request.artifact.digest.removeprefix("sha256:")
        home = Resource("home", "home", {"identity": request.identity.as_json()})
        bundle = Resource("bundle", hashed[:16], {"digest": hashed}, (home.key,), lifetime=Lifetime.RELEASE)
        config = with_serve(request.config, drain_delay=_DRAIN_DELAY)
        fields: Mapping[str, Any] = {
            "bundle": Ref(bundle.key, "path"),
            "config": config,
            "python": str(interpreter.path),
        }
        name = digest({"bundle": hashed, "config": config, "python": fields["python"]})[:16]
        server = Resource("server", name, fields, (home.key,), phase=Phase.CANDIDATE)
        proxy = Resource("proxy", "proxy", {"port": Generated("port")}, (home.key,))
        route = {"server": name, "port": Ref(server.key, "port"), "path": request.manifest.serve.path}
        return home, bundle, server, proxy, Resource("route", "route", route, (proxy.key,), phase=Phase.SWITCH)

    def world(self, request: WorldInput) -> ShedWorld:
        return ShedWorld(request)

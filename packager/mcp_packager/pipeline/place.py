"""Where a deployment lives: the seam to a target's world, for a deploy and for living with it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mcp_packager.pipeline.project import Aim
from mcp_packager.pipeline.requests import ChangeLine, Comparison
from mcp_packager.progress import Progress
from mcp_packager.target import (
    Auth,
    Endpoint,
    Glance,
    Inside,
    Intent,
    Probed,
    Release,
    Signing,
    Verification,
    Verify,
    Via,
    World,
    WorldInput,
    identity_of,
)

if TYPE_CHECKING:
    from mcp_packager.contract import Contract
    from mcp_packager.manifest import Manifest
    from mcp_packager.pipeline.artifacts import Ready


_PASSING: Final = frozenset({404, 502, 503, 504})
"""What a load balancer answers by itself while it learns of a server."""
_ABSENT: Final = 5.0
"""Seconds in which a connection that fails may be one moment's; a name that is not known yet takes longer."""
_AGAIN: Final = 0.5


def world_of(
    manifest: Manifest, aim: Aim, *, progress: Progress, built: Ready | None = None, glance: Glance | None = None
) -> World:
    """The target's world for this project and stage; ``built`` is what a deploy brings along."""
    return aim.target.world(
        WorldInput(
            identity=identity_of(manifest),
            options=aim.options,
            manifest=manifest,
            artifact=built.artifact if built else None,
            bundles=built.bundles if built else {},
            output=built.folder if built else None,
            environ=os.environ,
            progress=progress,
            glance=glance,
        )
    )


def verified(world: World) -> Verify:
    """How a deploy to that world looks at an endpoint: as clients reach it, else from inside where the world can."""

    def look(endpoint: Endpoint, intent: Intent) -> Verification:
        from mcp_packager.verify import UnreachableError

        if endpoint.via is not Via.PUBLIC:
            return _from_inside(world, endpoint, intent, None) or _ask(world, endpoint, intent)
        if intent.via not in {None, Via.PUBLIC}:
            why = f"it is looked at by {intent.via}, as [verify] via says"
            return _from_inside(world, endpoint, intent, why) or _ask(world, endpoint, intent)
        try:
            if endpoint.auth is Auth.IAM and isinstance(world, Signing):
                return _signed(world, world, endpoint, intent)
            return _settled(world, endpoint, intent)
        except UnreachableError as error:
            looked = None if intent.via else _from_inside(world, endpoint, intent, error.problems[0].what)
            if looked is None:
                raise
            return looked

    return look


def _settled(world: World, endpoint: Endpoint, intent: Intent) -> Verification:
    """Look at what clients reach, again while what stands in front of the server may not have noticed the switch."""
    from mcp_packager.verify import RefusedError, ServedOtherwiseError, UnreachableError

    began = time.monotonic()
    while True:
        try:
            return _ask(world, endpoint, intent)
        except (RefusedError, ServedOtherwiseError, UnreachableError) as error:
            passing = not isinstance(error, RefusedError) or error.status in _PASSING
            patience = min(endpoint.settles, _ABSENT) if isinstance(error, UnreachableError) else endpoint.settles
            if not passing or time.monotonic() - began >= patience:
                raise
        time.sleep(_AGAIN)


def _signed(world: World, signing: Signing, endpoint: Endpoint, intent: Intent) -> Verification:
    """The same where the platform asks who is calling: a stranger is refused, and what we sign is answered."""
    from mcp_packager.verify import verify

    closed = verify(endpoint, intent.contract)
    with signing.signed(endpoint) as inner:
        found = _settled(world, inner, intent)
    return replace(found, checked=(*closed.checked, *found.checked))


def _from_inside(world: World, endpoint: Endpoint, intent: Intent, why: str | None) -> Verification | None:
    """The same from inside, where the world has a way; ``why`` it is not looked at from outside, where it could be."""
    opened = world.inside(endpoint) if isinstance(world, Inside) else None
    if opened is None:
        return None
    with opened as inner:
        # A way that was opened a moment ago may be cut once before it holds.
        found = _settled(world, replace(inner, settles=max(inner.settles, _ABSENT)), intent)
        inside = f"looked at from inside ({inner.via})"
    left = () if why is None else (f"{endpoint.url} from outside: {why}",)
    return Verification((inside, *found.checked), (*left, *found.unverified))


@contextmanager
def way_to(world: World, endpoint: Endpoint) -> Iterator[Endpoint]:
    """The endpoint as this machine reaches it: by its own address, else from inside where the world has a way.

    Where the platform asks who is calling, requests are signed on their way.
    """
    if endpoint.auth is Auth.IAM and isinstance(world, Signing) and _answers(endpoint):
        with world.signed(endpoint) as inner:
            yield inner
        return
    opened = world.inside(endpoint) if isinstance(world, Inside) and not _answers(endpoint) else None
    if opened is None:
        yield endpoint
        return
    with opened as inner:
        yield inner


def _answers(endpoint: Endpoint) -> bool:
    """Whether somebody takes a connection there."""
    parts = urlsplit(endpoint.url or "")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_ABSENT).close()
    except OSError:
        return False
    return True


def _ask(world: World, endpoint: Endpoint, intent: Intent) -> Verification:
    """Hold what an endpoint serves against what was wanted there, with a token of the deploy's own where it asks."""
    from mcp_packager.verify import probe_token, verify

    key = world.probe_key() if endpoint.auth is not Auth.NONE and isinstance(world, Probed) else None
    # A new one for each request: a call may take longer than a token lives.
    token = None if key is None else partial(probe_token, key, intent.identity.audience)
    return verify(endpoint, intent.contract, intent.calls, token=token)


def comparison(name: str, release: Release | None, contract: Contract | None) -> Comparison:
    """What clients would notice against a release; nothing yet where the contract is still to be read."""
    from mcp_packager.contract import Contract as Shown
    from mcp_packager.contract.compare import compare

    if release is None or contract is None:
        return Comparison(name, None if release is None else release.number, ())
    if release.intent.contract.get("hash") == contract.hash:
        return Comparison(name, release.number, ())
    changes = compare(Shown.from_document(release.intent.contract), contract)
    lines = tuple(ChangeLine(change.kind, change.name, change.breaking, change.what) for change in changes)
    return Comparison(name, release.number, lines)

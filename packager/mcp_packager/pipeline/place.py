"""Where a deployment lives: the seam to a target's world, for a deploy and for living with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mcp_packager.pipeline.project import Aim
from mcp_packager.pipeline.requests import ChangeLine, Comparison
from mcp_packager.progress import Progress
from mcp_packager.target import Endpoint, Intent, Release, Verification, World, WorldInput, identity_of

if TYPE_CHECKING:
    from mcp_packager.contract import Contract
    from mcp_packager.manifest import Manifest
    from mcp_packager.pipeline.build import Built


def world_of(manifest: Manifest, aim: Aim, *, progress: Progress, built: Built | None = None) -> World:
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
        )
    )


def verified(endpoint: Endpoint, intent: Intent) -> Verification:
    """Hold what an endpoint serves against what was wanted there, as a client would see it."""
    from mcp_packager.verify import verify

    return verify(endpoint, intent.contract, intent.calls)


def comparison(name: str, release: Release | None, contract: Contract) -> Comparison:
    """What clients would notice against a release."""
    from mcp_packager.contract import Contract as Shown
    from mcp_packager.contract import compare

    if release is None:
        return Comparison(name, None, ())
    if release.intent.contract.get("hash") == contract.hash:
        return Comparison(name, release.number, ())
    changes = compare(Shown.from_document(release.intent.contract), contract)
    lines = tuple(ChangeLine(change.kind, change.name, change.breaking, change.what) for change in changes)
    return Comparison(name, release.number, lines)

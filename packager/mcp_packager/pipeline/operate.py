"""Living with what is deployed: status, logs, history, drift, rollback, destroy, unlock."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp_packager import engine
from mcp_packager.errors import Problem, UsageError, UserError
from mcp_packager.pipeline.deploy import report
from mcp_packager.pipeline.place import verified, way_to, world_of
from mcp_packager.pipeline.project import Aim, open_project
from mcp_packager.pipeline.reach import reach
from mcp_packager.pipeline.reports import (
    DeployReport,
    DestroyReport,
    DriftReport,
    HistoryLine,
    StatusReport,
)
from mcp_packager.pipeline.requests import Request
from mcp_packager.target import Endpoint, Outcome, Release, World

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

WATCH_SECONDS = 1.0
"""Between two looks of ``status --watch``."""


@dataclass(frozen=True)
class Placed:
    """One target and the seam to its world."""

    manifest: Manifest
    aim: Aim
    world: World


def status(request: Request) -> tuple[StatusReport, ...]:
    """How the deployment is on each target."""
    return tuple(_status(request, placed) for placed in places(request))


def watch(request: Request) -> Iterator[tuple[StatusReport, ...]]:
    """The same again and again, until the caller stops. The manifest is read once."""
    placed = places(request)
    while True:
        yield tuple(_status(request, each) for each in placed)
        time.sleep(WATCH_SECONDS)


def logs(request: Request, *, lines: int, follow: bool) -> Iterator[str]:
    """The server's log on one target, oldest line first; with ``follow`` until the caller stops.

    Raises:
        UsageError: more than one target is meant.
    """
    yield from _only(request).world.logs(lines=lines, follow=follow)


def history(request: Request) -> Mapping[str, tuple[HistoryLine, ...]]:
    """The releases that are kept on each target, failed attempts included, oldest first."""
    return {placed.aim.name: tuple(_history(placed.world)) for placed in places(request)}


def drift(request: Request) -> tuple[DriftReport, ...]:
    """What each target holds against what its last release says. A deploy mends it: the release wins."""
    reports = []
    for placed in places(request):
        found = engine.drift(placed.world)
        reports.append(
            DriftReport(
                target=placed.aim.name,
                stage=request.stage,
                release=found.release.number if found.release else None,
                text=engine.draw(found.plan),
                drifted=found.drifted,
                plan=found.plan.as_json(),
            )
        )
    return tuple(reports)


def rollback(request: Request, *, to: int | None) -> tuple[DeployReport, ...]:
    """Deploy an earlier release again: number ``to``, else the one before the current.

    Raises:
        UserError: there is no such release.
        WorldError: it failed; the error says what clients get now.
    """
    run = engine.Run(progress=request.progress)
    return tuple(
        report(
            placed.manifest,
            placed.aim,
            engine.rollback(placed.world, verify=verified(placed.world), to=to, run=run),
            placed.world,
        )
        for placed in places(request)
    )


def destroy(request: Request, *, data: bool) -> tuple[DestroyReport, ...]:
    """Remove everything the deployment owns on each target; stored data only with ``data``."""
    run = engine.Run(progress=request.progress)
    reports = []
    for placed in places(request):
        gone = engine.destroy(placed.world, data=data, run=run)
        reports.append(
            DestroyReport(
                target=placed.aim.name,
                stage=request.stage,
                removed=tuple(str(change.key) for change in gone.removed),
                kept=tuple(f"{kept.key} ({kept.why})" for kept in gone.kept),
            )
        )
    return tuple(reports)


def unlock(request: Request) -> Mapping[str, str | None]:
    """Break each target's lock; who held it, ``None`` where nobody did."""
    held = {placed.aim.name: engine.unlock(placed.world) for placed in places(request)}
    return {name: f"{holder.who} ({holder.what})" if holder else None for name, holder in held.items()}


def endpoint(request: Request) -> Mapping[str, Any]:
    """How clients reach the current release on the one target.

    Raises:
        UserError: nothing is deployed there.
        UsageError: more than one target is meant.
    """
    return _deployed(request, _only(request)).endpoint.as_json()


@contextmanager
def reached(request: Request) -> Iterator[Endpoint]:
    """The current release on the one target as this machine reaches it: by its address, else from inside.

    Raises:
        UserError: nothing is deployed there.
        UsageError: more than one target is meant.
    """
    placed = _only(request)
    with way_to(placed.world, _deployed(request, placed).endpoint) as found:
        yield found


def _deployed(request: Request, placed: Placed) -> Release:
    release = engine.current(placed.world)
    if release is None:
        raise UserError(
            Problem(
                f"nothing is deployed to {placed.aim.name} (stage {request.stage})",
                f"run mcp-pack deploy --target {placed.aim.name} first",
            )
        )
    return release


def places(request: Request) -> tuple[Placed, ...]:
    """Every target that the command is about, and the seam to its world."""
    project = open_project(request)
    return tuple(
        Placed(project.manifest, aim, world_of(project.manifest, aim, progress=request.progress))
        for aim in project.aims
    )


def _only(request: Request) -> Placed:
    placed = places(request)
    if len(placed) != 1:
        names = ", ".join(each.aim.name for each in placed)
        raise UsageError(Problem(f"this speaks of one target, and there are {names}", "name one with --target"))
    return placed[0]


def _status(request: Request, placed: Placed) -> StatusReport:
    now = placed.world.status()
    release = engine.current(placed.world)
    artifact = release.intent.artifact if release else None
    shown = now.endpoint or (release.endpoint if release else None)
    return StatusReport(
        target=placed.aim.name,
        stage=request.stage,
        state=now.state.value,
        release=release.number if release else None,
        version=artifact.version if artifact else None,
        digest=artifact.digest if artifact else None,
        contract_hash=artifact.contract_hash if artifact else None,
        endpoint=shown.as_json() if shown else None,
        uptime_seconds=now.uptime,
        restarts=now.restarts,
        detail=now.detail,
        replicas=now.replicas,
        services=reach(placed.manifest.services),
    )


def _history(world: World) -> Iterator[HistoryLine]:
    current = engine.current(world)
    before: Release | None = None
    for release in engine.history(world):
        artifact = release.intent.artifact
        yield HistoryLine(
            release=release.number,
            version=artifact.version,
            digest=artifact.digest,
            contract_hash=artifact.contract_hash,
            when=release.when,
            who=release.who,
            outcome=release.outcome.value if not release.detail else f"{release.outcome.value}: {release.detail}",
            current=current is not None and release.number == current.number,
            contract_change=None if before is None else _changed(before, release),
        )
        if release.outcome is Outcome.DEPLOYED:
            before = release


def _changed(before: Release, release: Release) -> str:
    """What clients of ``before`` notice: nothing, something new, or that something they use is no longer so."""
    from mcp_packager.contract import Contract
    from mcp_packager.contract.compare import compare

    old, new = before.intent.contract, release.intent.contract
    if old.get("hash") == new.get("hash"):
        return "none"
    changes = compare(Contract.from_document(old), Contract.from_document(new))
    return "breaking" if any(change.breaking for change in changes) else "harmless"

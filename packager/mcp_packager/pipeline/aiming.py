"""What a deploy is about, before anything is touched: built, with all that it wants and what stands there now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mcp_packager import engine
from mcp_packager.contract import Contract
from mcp_packager.contract.compare import ContractChange, announcing, needs_major
from mcp_packager.errors import Problem, UsageError, UserError
from mcp_packager.manifest import Manifest
from mcp_packager.pipeline.artifacts import Ready, taken
from mcp_packager.pipeline.build import build_one
from mcp_packager.pipeline.place import comparison, world_of
from mcp_packager.pipeline.prepare import prepare
from mcp_packager.pipeline.project import Aim, Project, open_project
from mcp_packager.pipeline.requests import ChangeLine, Comparison, Request
from mcp_packager.target import (
    DesiredInput,
    Intent,
    Release,
    Via,
    World,
    base_config,
    calls_of,
    held_contract,
    identity_of,
)


@dataclass(frozen=True)
class Aimed:
    """One target with all that a deploy there needs, and what stands there now."""

    manifest: Manifest
    built: Ready
    world: World
    intent: Intent
    current: Release | None
    contract: Comparison


@dataclass(frozen=True)
class Order:
    """How a project is to be deployed, beside what its manifest says.

    ``artifact`` is what to deploy unbuilt: ``artifact.json``, its folder, or an image in a registry by digest.
    ``install_unit`` sets the targets' option of that name. ``allow_breaking``: clients of the last release may break.
    """

    artifact: str | None = None
    allow_breaking: bool = False
    install_unit: bool = False


def aim(request: Request, order: Order) -> tuple[Aimed, ...]:
    """Read, build and judge the project for each of its targets. Only reads the targets.

    Raises:
        UserError: the project is wrong, or clients would break without a new major version.
        WorldError: the package index or a target does not answer.
    """
    project = open_project(request)
    if order.install_unit:
        project = replace(project, aims=tuple(_with_unit(each) for each in project.aims))
    return aimed_at(project, request, order, output=project.manifest.project / "dist")


def aimed_at(project: Project, request: Request, order: Order, *, output: Path) -> tuple[Aimed, ...]:
    """The same for a project that was read; ``output`` is where the artifacts go.

    Raises:
        UserError, WorldError: as :func:`aim`.
    """
    manifest = project.manifest
    aimed = []
    for ready in _ready(request, project, order.artifact, output):
        world = world_of(manifest, ready.aim, progress=request.progress, built=ready, glance=request.glance)
        current = engine.current(world)
        contract = ready.contract or _read_before(ready, current)
        compared = comparison(ready.aim.name, current, contract)
        intent = _intent(manifest, ready)
        if contract is not None:
            intent = intent.showing(held_contract(contract.document))
        aimed.append(Aimed(manifest, ready, world, intent, current, compared))
    if not order.allow_breaking:
        _refuse_breaking(aimed)
    return tuple(aimed)


def _ready(request: Request, project: Project, artifact: str | None, output: Path) -> Iterator[Ready]:
    """What is to be deployed: the artifact that is named, else one built for each target."""
    if artifact is not None:
        yield taken(project, artifact, progress=request.progress)
        return
    prepared = prepare(
        project.manifest, project.aims, locked=request.locked, progress=request.progress, head=request.head
    )
    for aim in project.aims:
        yield build_one(prepared, aim, output, progress=request.progress)


def _read_before(ready: Ready, current: Release | None) -> Contract | None:
    """What the current release was found to show, if it is of the very same image."""
    if current is None or current.intent.artifact.digest != ready.artifact.digest or not current.intent.contract:
        return None
    return Contract.from_document(current.intent.contract)


def _intent(manifest: Manifest, ready: Ready) -> Intent:
    """Everything that the deploy wants, as data."""
    aim = ready.aim
    identity = identity_of(manifest)
    config = base_config(manifest, aim.name, aim.target.exposure(manifest, aim.options))
    desired = aim.target.desired(
        DesiredInput(
            manifest=manifest,
            options=aim.options,
            identity=identity,
            artifact=ready.artifact,
            config=config,
            interpreters=ready.interpreters,
        )
    )
    return Intent(
        identity=identity,
        target=aim.name,
        artifact=ready.artifact,
        config=config,
        contract={},
        resources=desired,
        calls=calls_of(manifest),
        keep=getattr(aim.options, "keep", 5),
        via=None if manifest.via is None else Via(manifest.via),
    )


def _refuse_breaking(aimed: Sequence[Aimed]) -> None:
    problems = [problem for each in aimed if (problem := _breaking(each)) is not None]
    if problems:
        raise UserError(problems)


def _breaking(aimed: Aimed) -> Problem | None:
    version = aimed.built.artifact.version
    if aimed.current is None:
        return None
    changes = tuple(
        ContractChange(line.kind, line.name, breaking=line.breaking, what=line.what) for line in aimed.contract.changes
    )
    if not needs_major(aimed.current.intent.artifact.version, version, changes):
        return None
    where = f"release {aimed.current.number} on {aimed.built.aim.name}"
    return Problem(
        what=f"clients of {where} would break: {_said(aimed.contract.changes)}",
        fix=f"raise the version to {announcing(aimed.current.intent.artifact.version)}, or say --allow-breaking",
        found=f"version {version}",
    )


def _said(changes: Sequence[ChangeLine]) -> str:
    return "; ".join(f"{change.kind} {change.name}: {change.what}" for change in changes if change.breaking)


def _with_unit(aim: Aim) -> Aim:
    """The target with its option ``install_unit`` set, as if the manifest said so."""
    if "install_unit" not in aim.target.about.options.model_fields:
        raise UsageError(
            Problem(f"the target {aim.name} starts by itself after a reboot, or cannot", "leave --install-unit away")
        )
    return replace(aim, options=aim.options.model_copy(update={"install_unit": True}))

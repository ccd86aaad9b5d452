"""``mcp-pack plan`` and ``mcp-pack deploy``: from a project to a verified release on each target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from mcp_packager import engine
from mcp_packager.contract import ContractChange, announcing, needs_major
from mcp_packager.errors import Problem, UsageError, UserError
from mcp_packager.manifest import Manifest
from mcp_packager.pipeline.artifacts import Ready, taken
from mcp_packager.pipeline.build import build_one
from mcp_packager.pipeline.place import comparison, verified, world_of
from mcp_packager.pipeline.prepare import prepare
from mcp_packager.pipeline.project import Aim, Project, open_project
from mcp_packager.pipeline.requests import ChangeLine, Comparison, DeployReport, PlanReport, Request
from mcp_packager.target import (
    Action,
    DesiredInput,
    Intent,
    Lifetime,
    Plan,
    Release,
    Via,
    World,
    auth_warning,
    base_config,
    calls_of,
    held_contract,
    identity_of,
)

Confirm = Callable[[str], bool]


@dataclass(frozen=True)
class Aimed:
    """One target with all that a deploy there needs, and what stands there now."""

    built: Ready
    world: World
    intent: Intent
    current: Release | None
    contract: Comparison


def plan(request: Request, *, artifact: str | None = None, allow_breaking: bool = False) -> tuple[PlanReport, ...]:
    """What a deploy would change on each target. Builds, or takes ``artifact``, and only reads the targets.

    Raises:
        UserError: the project is wrong, or clients would break without a new major version.
        WorldError: the package index or a target does not answer.
    """
    reports = []
    for aimed in _aim(request, open_project(request), artifact=artifact, allow_breaking=allow_breaking):
        due = engine.plan(aimed.intent, aimed.world)
        reports.append(
            PlanReport(
                target=aimed.built.aim.name,
                stage=request.stage,
                plan=due.as_json(),
                text=engine.draw(due),
                changes_due=due.due,
                contract=aimed.contract,
            )
        )
    return tuple(reports)


def deploy(
    request: Request,
    *,
    artifact: str | None = None,
    allow_breaking: bool = False,
    confirm: Confirm = lambda _: True,
    wait: float = 0.0,
    install_unit: bool = False,
) -> tuple[DeployReport, ...]:
    """Build, bring up, verify, switch, on one target after the other.

    Everything is built and judged for every target before the first is touched. ``artifact`` is what to deploy unbuilt:
    ``artifact.json``, its folder, or an image in a registry by digest. ``confirm`` is asked before
    something that clients hold on to is replaced or deleted; a no ends the deploy there. ``wait`` is how many
    seconds to wait for another deploy to let go of the lock; ``install_unit`` sets the targets' option of that name.

    Raises:
        UserError: the project is wrong, clients would break, or the answer was no.
        WorldError: an index or a target does not answer, or another deploy holds the lock.
    """
    project = open_project(request)
    if install_unit:
        project = replace(project, aims=tuple(_with_unit(aim) for aim in project.aims))
    aimed = _aim(request, project, artifact=artifact, allow_breaking=allow_breaking)
    for each in aimed:
        _ask(each, engine.plan(each.intent, each.world), confirm)
    run = engine.Run(progress=request.progress, wait=wait)
    return tuple(
        report(
            project.manifest,
            each.built.aim,
            engine.deploy(each.intent, each.world, verify=verified(each.world), run=run),
        )
        for each in aimed
    )


def _with_unit(aim: Aim) -> Aim:
    """The target with its option ``install_unit`` set, as if the manifest said so."""
    if "install_unit" not in aim.target.about.options.model_fields:
        raise UsageError(
            Problem(f"the target {aim.name} starts by itself after a reboot, or cannot", "leave --install-unit away")
        )
    return replace(aim, options=aim.options.model_copy(update={"install_unit": True}))


def report(manifest: Manifest, aim: Aim, done: engine.Deployed) -> DeployReport:
    """What a deploy or a rollback left, for people."""
    release = done.release
    intent = release.intent
    exposed = auth_warning(intent.config["serve"]["auth"], aim.target.exposure(manifest, aim.options))
    notes = [note for note in (aim.target.about.warning, exposed) if note]
    return DeployReport(
        target=aim.name,
        stage=intent.identity.stage,
        changed=done.changed,
        release=release.number,
        version=intent.artifact.version,
        digest=intent.artifact.digest,
        contract_hash=intent.artifact.contract_hash,
        endpoint=release.endpoint.as_json(),
        verified=release.verified,
        unverified=release.unverified,
        notes=tuple(notes) if done.changed else (),
    )


def _aim(request: Request, project: Project, *, artifact: str | None, allow_breaking: bool) -> tuple[Aimed, ...]:
    manifest = project.manifest
    aimed = []
    for ready in _ready(request, project, artifact):
        world = world_of(manifest, ready.aim, progress=request.progress, built=ready)
        current = engine.current(world)
        compared = comparison(ready.aim.name, current, ready.contract)
        aimed.append(Aimed(ready, world, _intent(manifest, ready), current, compared))
    if not allow_breaking:
        _refuse_breaking(aimed)
    return tuple(aimed)


def _ready(request: Request, project: Project, artifact: str | None) -> Iterator[Ready]:
    """What is to be deployed: the artifact that is named, else one built for each target."""
    if artifact is not None:
        yield taken(project, artifact, progress=request.progress)
        return
    prepared = prepare(project.manifest, project.aims, locked=request.locked, progress=request.progress)
    for aim in project.aims:
        yield build_one(prepared, aim, project.manifest.project / "dist", progress=request.progress)


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
        contract=held_contract(ready.contract.document),
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


def _ask(aimed: Aimed, due: Plan, confirm: Confirm) -> None:
    """Ask where something is made anew, or goes that the last release still held on to."""
    lasting = {
        resource.key
        for resource in (aimed.current.intent.resources if aimed.current else ())
        if resource.lifetime is Lifetime.CURRENT
    }
    hard = [
        change
        for change in due.changes
        if change.action is Action.REPLACE or (change.action is Action.DELETE and change.key in lasting)
    ]
    if not hard:
        return
    names = ", ".join(f"{change.action.value} {change.key}" for change in hard)
    if not confirm(f"The deploy to {aimed.built.aim.name} would {names}. Go on?"):
        raise UserError(
            Problem(f"nothing was deployed to {aimed.built.aim.name}: the answer was no", "look at mcp-pack plan")
        )

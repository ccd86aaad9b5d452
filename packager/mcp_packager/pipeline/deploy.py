"""``mcp-pack plan`` and ``mcp-pack deploy``: from a project to a verified release on each target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mcp_packager import engine
from mcp_packager.errors import Problem, UserError
from mcp_packager.manifest import Manifest
from mcp_packager.pipeline.aiming import Aimed, Order, aim
from mcp_packager.pipeline.place import verified
from mcp_packager.pipeline.project import Aim
from mcp_packager.pipeline.reports import DeployReport, PlanReport
from mcp_packager.pipeline.requests import Request
from mcp_packager.pipeline.timing import Timed
from mcp_packager.target import Action, Lifetime, Plan, Telling, World, auth_warning

Confirm = Callable[[str], bool]


def plan(request: Request, order: Order = Order()) -> tuple[PlanReport, ...]:
    """What a deploy would change on each target. Builds, or takes ``artifact``, and only reads the targets.

    Raises:
        UserError: the project is wrong, or clients would break without a new major version.
        WorldError: the package index or a target does not answer.
    """
    return tuple(planned(each) for each in aim(request, order))


def planned(aimed: Aimed) -> PlanReport:
    """What a deploy to one target would change."""
    due = engine.plan(aimed.intent, aimed.world)
    return PlanReport(
        target=aimed.built.aim.name,
        stage=aimed.manifest.stage,
        plan=due.as_json(),
        text=engine.draw(due),
        changes_due=due.due,
        contract=aimed.contract,
    )


def deploy(
    request: Request,
    order: Order = Order(),
    *,
    confirm: Confirm = lambda _: True,
    wait: float = 0.0,
) -> tuple[DeployReport, ...]:
    """Build, bring up, verify, switch, on one target after the other.

    Everything is built and judged for every target before the first is touched. ``confirm`` is asked before
    something that clients hold on to is replaced or deleted; a no ends the deploy there. ``wait`` is how many
    seconds to wait for another deploy to let go of the lock.

    Raises:
        UserError: the project is wrong, clients would break, or the answer was no.
        WorldError: an index or a target does not answer, or another deploy holds the lock.
    """
    aimed = aim(request, order)
    return carried_out(aimed, confirm=confirm, run=engine.Run(progress=request.progress, wait=wait))


def carried_out(aimed: Sequence[Aimed], *, confirm: Confirm, run: engine.Run) -> tuple[DeployReport, ...]:
    """Deploy what one project was built and judged for, after every question is answered."""
    for each in aimed:
        _ask(each, engine.plan(each.intent, each.world), confirm)
    return tuple(_carried_out(each, run) for each in aimed)


def _carried_out(aimed: Aimed, run: engine.Run) -> DeployReport:
    timed = Timed(run.progress)
    done = engine.deploy(aimed.intent, aimed.world, verify=verified(aimed.world), run=replace(run, progress=timed))
    return replace(report(aimed.manifest, aimed.built.aim, done, aimed.world), seconds=dict(timed.seconds))


def report(manifest: Manifest, aim: Aim, done: engine.Deployed, world: World) -> DeployReport:
    """What a deploy or a rollback left, for people."""
    release = done.release
    intent = release.intent
    exposed = auth_warning(intent.config["serve"]["auth"], aim.target.exposure(manifest, aim.options))
    told = world.notes() if done.changed and isinstance(world, Telling) else ()
    notes = [note for note in (aim.target.about.warning, exposed, *told) if note]
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


def _ask(aimed: Aimed, due: Plan, confirm: Confirm) -> None:
    """Ask where something is made anew, or goes that the last release still held on to."""
    derived = {kind.name for kind in aimed.world.kinds if kind.derived}
    lasting = {
        resource.key
        for resource in (aimed.current.intent.resources if aimed.current else ())
        if resource.lifetime is Lifetime.CURRENT and resource.kind not in derived
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

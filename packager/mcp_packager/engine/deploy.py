"""The story of a deploy: prepare, candidate, verify, switch, verify, record, retire. And its undoing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mcp_packager.engine.apply import Executor
from mcp_packager.engine.diff import diff
from mcp_packager.engine.failure import Stopped, explain, untouched
from mcp_packager.engine.history import current_of, kept_keys, overdue, prune, record
from mcp_packager.engine.lock import Guard, hold
from mcp_packager.engine.run import Run
from mcp_packager.errors import PackError
from mcp_packager.target import (
    Action,
    Endpoint,
    Generated,
    Intent,
    Key,
    Observed,
    Outcome,
    Phase,
    Plan,
    Rehearsed,
    Release,
    Resource,
    Verification,
    Verify,
    World,
)

ROLLBACK = "rollback"
"""What a rollback tells the lock that it is."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a deploy or a rollback did. ``changed`` is false where there was nothing to do."""

    release: Release
    plan: Plan
    changed: bool


def plan(intent: Intent, world: World, *, anew: frozenset[Key] = frozenset()) -> Plan:
    """What a deploy of the intent would change now. Reads only."""
    releases = world.records.listing()
    return diff(intent.resources, world.observe(), world.kinds, kept=kept_keys(releases, intent), anew=anew)


def deploy(
    intent: Intent,
    world: World,
    *,
    verify: Verify,
    run: Run | None = None,
    rollback_of: int | None = None,
    anew: frozenset[Key] = frozenset(),
) -> Deployed:
    """Bring the world to the intent and leave a release.

    Nothing is written, not even a lock, where nothing is due. A failure before clients are moved leaves them
    untouched; a later one moves them back. The Generated values of ``anew`` are made once more, and are what they
    were before after a failure.

    Raises:
        Stopped: it failed; the error says what was done, what was not, and what clients get now.
        WorldError: another deploy holds the lock.
    """
    run = run or Run()
    settled = None if anew else _settled(intent, world)
    if settled is not None and not overdue(world.records.listing(), intent):
        return settled
    with hold(world.lock, run, ROLLBACK if rollback_of else "deploy") as guard:
        settled = None if anew else _settled(intent, world)
        if settled is None:
            return _Deploy(intent, world, guard, verify=verify, run=run, rollback_of=rollback_of, anew=anew).go()
        # A run that was killed while it forgot old releases had done all else.
        prune(world.records, intent, guard)
        return settled


def _settled(intent: Intent, world: World) -> Deployed | None:
    """The current release, if it is the intent and the world holds it."""
    current = current_of(world.records.listing())
    if current is None or current.intent.fingerprint != intent.fingerprint:
        return None
    due = plan(intent, world)
    return None if due.due else Deployed(current, due, changed=False)


class _Deploy:
    """One deploy at work, behind the lock."""

    def __init__(
        self,
        intent: Intent,
        world: World,
        guard: Guard,
        *,
        verify: Verify,
        run: Run,
        rollback_of: int | None,
        anew: frozenset[Key],
    ) -> None:
        self._intent = intent
        self._world = world
        self._guard = guard
        self._verify = verify
        self._run = run
        self._rollback_of = rollback_of
        self._anew = anew
        self._before: Mapping[Key, Observed] = {}
        self._releases = world.records.listing()
        self._current = current_of(self._releases)

    def go(self) -> Deployed:
        """The whole story."""
        observed = self._before = self._world.observe()
        kept = kept_keys(self._releases, self._intent)
        due = diff(self._intent.resources, observed, self._world.kinds, kept=kept, anew=self._anew)
        self._rehearse(due)
        executor = Executor(self._world, self._guard, self._run, observed, self._anew)
        try:
            verification = self._forward(due, executor)
        except Exception as cause:
            self._undo(cause, due, executor)
            raise
        release = self._leave(verification, executor)
        with self._run.progress.stage("retire"):
            executor.remove(due.in_phase(Phase.RETIRE))
            prune(self._world.records, self._intent, self._guard)
        return Deployed(release, due, changed=True)

    def _rehearse(self, due: Plan) -> None:
        """Ask the world, where it can be asked, whether it would take all of it; a no leaves everything untouched."""
        if not isinstance(self._world, Rehearsed):
            return
        try:
            with self._run.progress.stage("rehearse"):
                lines = self._world.rehearse(due)
        except PackError as cause:
            raise Stopped(cause, untouched()) from cause
        for line in lines:
            self._run.progress.note(line)

    def _forward(self, due: Plan, executor: Executor) -> Verification:
        """Everything up to the point where clients are served by verified new code."""
        verification = Verification()
        self._phase(Phase.PREPARE, due, executor)
        self._phase(Phase.CANDIDATE, due, executor)
        # A candidate may be there already, from a run that was killed before it could look at it.
        if due.switches and any(resource.phase is Phase.CANDIDATE for resource in self._intent.resources):
            verification = self._check(Phase.CANDIDATE, executor)
            if verification.contract is not None:
                self._intent = self._intent.showing(verification.contract)
        self._phase(Phase.SWITCH, due, executor)
        return verification.and_then(self._check(Phase.SWITCH, executor))

    def _phase(self, phase: Phase, due: Plan, executor: Executor) -> None:
        changes = due.in_phase(phase)
        if changes:
            with self._run.progress.stage(phase.value):
                executor.make(changes)

    def _check(self, phase: Phase, executor: Executor) -> Verification:
        endpoint = self._world.endpoint(phase, self._wanted(executor))
        if endpoint is None:
            return Verification(unverified=(f"the {phase.value} has no address that this machine could reach",))
        with self._run.progress.stage("verify"):
            return self._verify(endpoint, self._intent)

    def _wanted(self, executor: Executor) -> Mapping[Key, Observed]:
        """What is there of the intent. Of what an earlier release or a killed deploy left, nothing is looked at."""
        wanted = {resource.key for resource in self._intent.resources}
        return {key: it for key, it in executor.observed.items() if key in wanted}

    def _leave(self, verification: Verification, executor: Executor) -> Release:
        """The release record; a deploy that only mended what had drifted leaves none, unless its address changed."""
        current, endpoint = self._current, self._world.endpoint(Phase.SWITCH, self._wanted(executor)) or Endpoint()
        if current is not None and current.intent.fingerprint == self._intent.fingerprint:
            moved = current.endpoint.url is not None and endpoint.url not in {None, current.endpoint.url}
            if not moved:
                return current
        release = Release(
            number=1 + max((release.number for release in self._releases), default=0),
            intent=self._intent,
            endpoint=endpoint,
            who=self._run.who,
            when=self._run.clock.stamp(),
            rollback_of=self._rollback_of,
            verified=verification.checked,
            unverified=verification.unverified,
        )
        return record(self._world.records, release, self._guard)

    def _undo(self, cause: Exception, due: Plan, executor: Executor) -> None:
        """Go back to what was there, note the failure, and raise the error that says so."""
        switched = any(change.phase is Phase.SWITCH for change in (*executor.done, *executor.not_done))
        state = self._back(switched=switched)
        failed = Release(
            number=1 + max((release.number for release in self._releases), default=0),
            intent=self._intent,
            endpoint=Endpoint(),
            who=self._run.who,
            when=self._run.clock.stamp(),
            outcome=Outcome.FAILED,
            detail=str(cause).splitlines()[0] if str(cause) else type(cause).__name__,
            rollback_of=self._rollback_of,
        )
        try:
            record(self._world.records, failed, self._guard)
        except PackError as error:
            state += f"; the failure could not be recorded: {error}"
        if isinstance(cause, PackError):
            undone = [
                change for change in due.changes if change not in executor.done and change.action is not Action.DELETE
            ]
            raise Stopped(cause, explain(executor.done, undone, state)) from cause

    def _back(self, *, switched: bool) -> str:
        """Converge to the current release, or to nothing where there is none; say what clients get now."""
        wanted = () if self._current is None else tuple(map(self._as_before, self._current.intent.resources))
        try:
            observed = self._world.observe()
            kept = kept_keys(self._releases, None)
            back = diff(wanted, observed, self._world.kinds, kept=kept)
            executor = Executor(self._world, self._guard, self._run, observed)
            with self._run.progress.stage("undo"):
                for phase in (Phase.PREPARE, Phase.SWITCH):
                    executor.make(back.in_phase(phase))
                executor.remove(back.in_phase(Phase.RETIRE))
            return self._serving(executor, switched=switched)
        except PackError as error:
            return f"undoing it failed too ({error}); run the same command again, or mcp-pack rollback"

    def _as_before(self, resource: Resource) -> Resource:
        """The resource with what was to be made anew as it was made before: the world still has that."""
        there = self._before.get(resource.key)
        if there is None or resource.key not in self._anew:
            return resource
        return replace(
            resource,
            fields={
                name: there.fields.get(name) if isinstance(value, Generated) else value
                for name, value in resource.fields.items()
            },
        )

    def _serving(self, executor: Executor, *, switched: bool) -> str:
        if self._current is None:
            return "nothing was deployed before, and nothing is left of this attempt"
        endpoint = self._world.endpoint(Phase.SWITCH, executor.observed)
        if switched and endpoint is not None:
            self._verify(endpoint, self._current.intent)
        return f"clients get release {self._current.number} (version {self._current.intent.artifact.version}) as before"

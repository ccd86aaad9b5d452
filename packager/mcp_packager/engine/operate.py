"""Living with what is deployed: rollback, drift, destroy, unlock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcp_packager.engine.apply import Executor
from mcp_packager.engine.deploy import ROLLBACK, Deployed, deploy
from mcp_packager.engine.diff import diff
from mcp_packager.engine.failure import Stopped, explain
from mcp_packager.engine.history import choose, current_of, kept_keys
from mcp_packager.engine.lock import hold
from mcp_packager.engine.run import Run, stamp
from mcp_packager.errors import PackError
from mcp_packager.target import Change, Holder, Kept, Phase, Plan, Release, Verify, World


@dataclass(frozen=True, slots=True)
class Drift:
    """The world against the last release. ``release`` is ``None`` where nothing was ever deployed."""

    release: Release | None
    plan: Plan

    @property
    def drifted(self) -> bool:
        """Whether anything differs. What the release says wins; a deploy mends it."""
        return self.plan.due


@dataclass(frozen=True, slots=True)
class Destroyed:
    """What a destroy removed, and what it kept with the reason."""

    removed: tuple[Change, ...]
    kept: tuple[Kept, ...]


def current(world: World) -> Release | None:
    """The release that clients should be getting."""
    return current_of(world.records.listing())


def history(world: World) -> tuple[Release, ...]:
    """Every release that is kept, failed attempts included, the first one first."""
    return world.records.listing()


def rollback(world: World, *, verify: Verify, to: int | None = None, run: Run | None = None) -> Deployed:
    """Deploy an earlier release again: the one numbered ``to``, else the one before the current.

    After a rollback that died before its end, it finishes that one instead of going back once more.

    Raises:
        UserError: there is no such release.
        Stopped: it failed; the error says what clients get now.
    """
    releases = world.records.listing()
    release = (_unfinished(world, releases, run or Run()) if to is None else None) or choose(releases, to)
    return deploy(release.intent, world, verify=verify, run=run, rollback_of=release.number)


def _unfinished(world: World, releases: Sequence[Release], run: Run) -> Release | None:
    """The release that a rollback left which never let go of its lock."""
    current, holder = current_of(releases), world.lock.read()
    if current is None or current.rollback_of is None or holder is None:
        return None
    died = holder.what == ROLLBACK and holder.expires <= run.clock.now()
    return current if died and current.when >= stamp(holder.since) else None


def drift(world: World) -> Drift:
    """What differs from the last release. Reads only."""
    releases = world.records.listing()
    last = current_of(releases)
    wanted = () if last is None else last.intent.resources
    kept = kept_keys(releases, None if last is None else last.intent)
    return Drift(last, diff(wanted, world.observe(), world.kinds, kept=kept))


def destroy_plan(world: World, *, data: bool = False) -> Plan:
    """What a destroy would remove, and what it would keep. Reads only."""
    return diff((), world.observe(), world.kinds, data=data)


def destroy(world: World, *, data: bool = False, run: Run | None = None) -> Destroyed:
    """Remove everything the deployment owns, its records last. Data goes only with ``data``.

    Raises:
        Stopped: something could not be removed; a second run goes on from there.
        WorldError: another run holds the lock.
    """
    run = run or Run()
    with hold(world.lock, run, "destroy") as guard:
        observed = world.observe()
        due = diff((), observed, world.kinds, data=data)
        executor = Executor(world, guard, run, observed)
        changes = due.in_phase(Phase.RETIRE)
        try:
            with run.progress.stage("destroy"):
                executor.remove(changes)
                for release in world.records.listing():
                    guard.check()
                    world.records.remove(release.number)
        except PackError as cause:
            undone = [change for change in changes if change not in executor.done]
            raise Stopped(cause, explain(executor.done, undone, "what is left stays as it is")) from cause
    return Destroyed(tuple(executor.done), due.kept)


def unlock(world: World) -> Holder | None:
    """Break the lock, whoever holds it, and say whom it was taken from."""
    holder = world.lock.read()
    if holder is not None and not world.lock.swap(holder, None):
        return unlock(world)
    return holder

"""Carrying out changes: in dependency order, several at once, each safe to repeat, each behind the lock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace

from mcp_packager.engine.diff import compare
from mcp_packager.engine.lock import Guard
from mcp_packager.engine.order import waves
from mcp_packager.engine.run import Run
from mcp_packager.target import (
    Action,
    Change,
    Generated,
    Hurried,
    Key,
    Kind,
    Observed,
    Ref,
    Resource,
    Step,
    TransientError,
    Value,
    World,
)
from mcp_packager.target.values import resolve


class Executor:
    """Makes changes in one world and knows what is there by now.

    ``done`` and ``not_done`` say what happened to every change it was given, for the error that may follow.
    The Generated values of ``anew`` are made once more.
    """

    def __init__(
        self,
        world: World,
        guard: Guard,
        run: Run,
        observed: Mapping[Key, Observed],
        anew: frozenset[Key] = frozenset(),
    ) -> None:
        self._world = world
        self._anew = anew
        self._guard = guard
        self._run = run
        self._kinds: dict[str, Kind] = {kind.name: kind for kind in world.kinds}
        self.observed: dict[Key, Observed] = dict(observed)
        self.done: list[Change] = []
        self.not_done: list[Change] = []

    def make(self, changes: Sequence[Change]) -> None:
        """Carry out creations, updates and replacements of one phase, each after what it needs."""
        self._drive(changes, {change.key: _needs(change, changes) for change in changes})

    def remove(self, changes: Sequence[Change]) -> None:
        """Carry out deletions, kind by kind, the last made first."""
        by_key = {change.key: change for change in changes}
        for wave in waves(by_key, [kind.name for kind in self._world.kinds]):
            self._drive([by_key[key] for key in wave], {key: frozenset() for key in wave})

    def _drive(self, changes: Sequence[Change], needs: Mapping[Key, frozenset[Key]]) -> None:
        """Run what is ready until all is done. On the first failure nothing new starts; what runs ends."""
        waiting = list(changes)
        running: dict[Future[None], Change] = {}
        finished: set[Key] = set()
        failure: BaseException | None = None
        # An interrupt waits for the changes that run, with the lock held; no further one starts.
        with ThreadPoolExecutor(max_workers=self._run.workers) as pool, self._stopping(pool):
            while waiting or running:
                for change in [change for change in waiting if needs[change.key] <= finished and failure is None]:
                    waiting.remove(change)
                    running[pool.submit(self._one, change)] = change
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    change = running.pop(future)
                    error = future.exception()
                    if error is None:
                        finished.add(change.key)
                        self.done.append(change)
                        continue
                    self.not_done.append(change)
                    if failure is None:
                        failure = error
                        self._hurry()
        self.not_done.extend(waiting)
        if failure is not None:
            raise failure

    @contextmanager
    def _stopping(self, pool: ThreadPoolExecutor) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._hurry()
            pool.shutdown(wait=True, cancel_futures=True)
            raise

    def _hurry(self) -> None:
        if isinstance(self._world, Hurried):
            self._world.hurry()

    def _one(self, change: Change) -> None:
        with self._run.progress.stage(f"{change.action.value} {change.key}"):
            self._made(change)

    def _made(self, change: Change) -> None:
        there = self.observed.get(change.key)
        if change.resource is None or change.action is Action.DELETE:
            self._apply(Step(Action.DELETE, change.key, None, there or change.observed))
            self.observed.pop(change.key, None)
            return
        resource = replace(change.resource, fields=self._settle(change.resource, there))
        kind = self._kinds[resource.kind]
        if there is not None and compare(_plain(resource.fields), there, kind).action is Action.NOTHING:
            return  # what was known only now turned out to be what is there
        fields = self._apply(Step(change.action, change.key, resource, there))
        self.observed[change.key] = Observed(resource.kind, resource.name, fields, resource.scope)

    def _settle(self, resource: Resource, there: Observed | None) -> Mapping[str, Value]:
        """The fields with every Ref followed, and every Generated that was made before taken from what is there."""

        def leaf(name: str, item: Ref | Generated) -> Value:
            match item:
                case Ref(key, field):
                    return self.observed[key].fields[field]
                case Generated():
                    made = None if there is None or resource.key in self._anew else there.fields.get(name)
                    return item if made is None else made

        return {
            name: resolve(value, lambda item, name=name: leaf(name, item))  # type: ignore[misc]  # binds the loop's name
            for name, value in resource.fields.items()
        }

    def _apply(self, step: Step) -> Mapping[str, Value]:
        pause = self._run.backoff
        for attempt in range(1, self._run.attempts + 1):
            self._guard.check()
            try:
                return self._world.apply(step)
            except TransientError:
                if attempt == self._run.attempts:
                    raise
                self._run.clock.sleep(pause)
                pause *= 2
        raise AssertionError("attempts is at least 1")


def _needs(change: Change, changes: Sequence[Change]) -> frozenset[Key]:
    if change.resource is None:
        return frozenset()
    return change.resource.needs & {other.key for other in changes}


def _plain(fields: Mapping[str, Value]) -> Mapping[str, Value]:
    return {name: resolve(value, lambda item: {"$generated": str(item)}) for name, value in fields.items()}

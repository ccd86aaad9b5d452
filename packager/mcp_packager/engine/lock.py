"""Holding a deployment's lock: taken, renewed while work runs, checked before every write."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from mcp_packager.engine.run import Run, stamp
from mcp_packager.errors import PackError, Problem, WorldError
from mcp_packager.target import Holder, Lock, LockLostError

_POLL = 0.2


class Guard:
    """Our hold on a lock. :meth:`check` stands before every write."""

    def __init__(self, lock: Lock, holder: Holder, run: Run) -> None:
        self._lock = lock
        self._holder = holder
        self._run = run
        self._mutex = threading.Lock()

    def check(self) -> None:
        """Return if the lock is still ours, renewing it when a third of the lease is gone.

        Raises:
            LockLostError: it is another's or nobody's now.
        """
        with self._mutex:
            now = self._run.clock.now()
            if now < self._holder.expires - self._run.lease * 2 / 3:
                there = self._lock.read()
                if there is None or there.token != self._holder.token:
                    raise _lost(there)
            else:
                self._renew(now)

    def release(self) -> None:
        """Let go. A lock that is no longer ours is left alone."""
        with self._mutex:
            self._lock.swap(self._holder, None)

    def _renew(self, now: float) -> None:
        renewed = replace(self._holder, expires=now + self._run.lease)
        if not self._lock.swap(self._holder, renewed):
            raise _lost(self._lock.read())
        self._holder = renewed


@contextmanager
def hold(lock: Lock, run: Run, what: str) -> Iterator[Guard]:
    """Hold the lock while the body runs.

    Raises:
        WorldError: another holds it, and did not let go within ``run.wait`` seconds.
    """
    guard = Guard(lock, _take(lock, run, what), run)
    done = threading.Event()
    beat = threading.Thread(target=_beat, args=(guard, done, run.lease / 3), daemon=True, name="mcp-pack-lock")
    beat.start()
    try:
        yield guard
    finally:
        done.set()
        beat.join()
        # The lease ends by itself; failing to let go must not hide what the body has to say.
        with suppress(PackError):
            guard.release()


def _beat(guard: Guard, done: threading.Event, every: float) -> None:
    while not done.wait(every):
        # A lost lock, or a world that does not answer, shows at the next check before a write.
        with suppress(PackError, OSError):
            guard.check()


def _take(lock: Lock, run: Run, what: str) -> Holder:
    give_up = run.clock.now() + run.wait
    said = False
    while True:
        now = run.clock.now()
        there = lock.read()
        if there is None or there.expires <= now:
            mine = Holder(run.who, what, secrets.token_hex(8), now, now + run.lease)
            if lock.swap(there, mine):
                return mine
            continue
        if now >= give_up:
            raise WorldError(
                Problem(
                    f"{there.who} holds the lock for {there.what} since {stamp(there.since)}",
                    f"wait until it is done (an abandoned lock ends at {stamp(there.expires)}), or run mcp-pack unlock",
                )
            )
        if not said:
            run.progress.note(f"waiting for {there.who}, who holds the lock since {stamp(there.since)}")
            said = True
        run.clock.sleep(_POLL)


def _lost(there: Holder | None) -> LockLostError:
    now = "nobody" if there is None else f"{there.who} for {there.what}"
    return LockLostError(
        Problem(f"the lock was lost while work was under way; it is held by {now}", "run the same command again")
    )

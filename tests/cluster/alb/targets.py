"""The state of every target: registered, checked, given requests or not, and left to end what it has."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tests.cluster.alb.model import Check, Target, TargetGroup

PACE = 1.0
"""Seconds between two health checks at most, however many were asked for: the tests do not wait for longer."""
LAG = 2.0
"""Seconds for which a target still gets requests after the controller was told that it leaves."""


class State(StrEnum):
    """As ELB names them (``TargetHealth.State``)."""

    INITIAL = "initial"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"


@dataclass
class _Watched:
    """One target of one group, which a thread asks for its health until ``over``."""

    target: Target
    check: Check | None
    delay: float
    state: State = State.INITIAL
    over: threading.Event = field(default_factory=threading.Event)
    left: float | None = None
    """When the controller was told that it leaves, in seconds of the monotonic clock."""

    @property
    def serves(self) -> bool:
        """Whether it may be given requests, as far as leaving goes."""
        lag = LAG if self.check is not None else 0.0
        return self.left is None or time.monotonic() < self.left + lag

    def watch(self) -> None:
        """Ask until it is over."""
        assert self.check is not None
        good = bad = 0
        while not self.over.is_set():
            well = _is_well(self.target, self.check)
            good, bad = (good + 1, 0) if well else (0, bad + 1)
            # A new one needs a single good answer, one that was ill as many as are asked for.
            if well and (self.state is State.INITIAL or good >= self.check.healthy):
                self.state = State.HEALTHY
            elif bad >= self.check.unhealthy:
                self.state = State.UNHEALTHY
            self.over.wait(min(self.check.interval, PACE))


class Targets:
    """All targets of all groups."""

    def __init__(self) -> None:
        self._watched: dict[tuple[str, str], _Watched] = {}

    def take(self, groups: Mapping[str, TargetGroup]) -> None:
        """Register who is new, and let go of who is there no more."""
        wanted = {(name, target.place): (group, target) for name, group in groups.items() for target in group.targets}
        for key, (group, target) in wanted.items():
            known = self._watched.get(key)
            if known is None or known.left is not None or (known.check, known.target) != (group.check, target):
                if known is not None:
                    known.over.set()
                self._watched[key] = self._new(group, target)
        for key, watched in list(self._watched.items()):
            if key not in wanted:
                if watched.left is None:
                    watched.left = time.monotonic()
                self._let_go(key, watched, {place for _, place in wanted})

    def states(self, name: str) -> dict[str, State]:
        """The state of each target of a group, by its ``address:port``."""
        return {
            place: State.DRAINING if watched.left is not None else watched.state
            for (group, place), watched in sorted(self._watched.items())
            if group == name
        }

    def able(self, name: str) -> Sequence[Target]:
        """Who is to be given requests.

        Where all that are registered are ill, all of them: a load balancer fails open (ELB's documentation, "Health
        checks for your target groups").
        """
        mine = [watched for (group, _), watched in sorted(self._watched.items()) if group == name and watched.serves]
        healthy = [watched.target for watched in mine if watched.state is State.HEALTHY]
        ill = [watched.target for watched in mine if watched.state is State.UNHEALTHY]
        return healthy or (ill if len(ill) == len(mine) else [])

    def end(self) -> None:
        """Ask no more."""
        for watched in self._watched.values():
            watched.over.set()

    def _new(self, group: TargetGroup, target: Target) -> _Watched:
        watched = _Watched(target, group.check, group.delay)
        if group.check is None:
            watched.state = State.HEALTHY
        else:
            threading.Thread(target=watched.watch, daemon=True).start()
        return watched

    def _let_go(self, key: tuple[str, str], watched: _Watched, wanted: set[str]) -> None:
        assert watched.left is not None
        # A plain proxy never cuts what it has; what it no longer gives requests to is forgotten.
        if time.monotonic() < watched.left + (watched.delay + LAG if watched.check else 0.0):
            return
        watched.over.set()
        del self._watched[key]
        if watched.check is not None and watched.target.place not in wanted:
            to = ["dst", watched.target.address, "dport", "=", str(watched.target.port)]
            subprocess.run(["ss", "--kill", "--no-header", *to], stdout=subprocess.DEVNULL, check=False)


def _is_well(target: Target, check: Check) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        # The address itself is the Host.
        connection = http.client.HTTPConnection(target.address, target.port, timeout=check.timeout)
        try:
            connection.request(
                "GET", check.path, headers={"User-Agent": "ELB-HealthChecker/2.0", "Connection": "close"}
            )
            return _is_among(connection.getresponse().status, check.codes)
        finally:
            connection.close()
    return False


def _is_among(status: int, codes: str) -> bool:
    for code in codes.split(","):
        least, _, most = code.partition("-")
        if int(least) <= status <= int(most or least):
            return True
    return False

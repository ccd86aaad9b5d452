"""The world's side of a target: what the engine asks of it, and the records and lock that live there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from mcp_packager.errors import WorldError
from mcp_packager.target.plan import Plan
from mcp_packager.target.release import Endpoint, Release
from mcp_packager.target.resources import Kind, Observed, Phase, Step
from mcp_packager.target.values import Key, Value


class TransientError(WorldError):
    """The world could not do it now and may be able to a moment later: throttled, not yet visible, a lost answer.

    Only this is tried again. What raises it has changed nothing, or something that is safe to do again.
    """


class RecordTakenError(WorldError):
    """Another writer took the release number first."""


class LockLostError(WorldError):
    """The lock is no longer ours: it expired and was taken over, or was broken by hand."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock. Times are seconds since the epoch; ``token`` is random and tells holders apart."""

    who: str
    what: str
    token: str
    since: float
    expires: float

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "schema": 1,
            "who": self.who,
            "what": self.what,
            "token": self.token,
            "since": self.since,
            "expires": self.expires,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Holder:
        """The inverse of :meth:`as_json`."""
        return cls(
            who=document["who"],
            what=document["what"],
            token=document["token"],
            since=document["since"],
            expires=document["expires"],
        )


class Records(Protocol):
    """The releases of one deployment, where the target lives. Numbered from 1, never overwritten."""

    def listing(self) -> tuple[Release, ...]:
        """Every release there is, lowest number first."""
        ...

    def add(self, release: Release) -> None:
        """Keep a release under its number.

        Raises:
            RecordTakenError: that number is taken. Of two writers exactly one gets through.
        """
        ...

    def remove(self, number: int) -> None:
        """Forget a release; one that is not there is fine."""
        ...


class Lock(Protocol):
    """One deployment's lock, where the target lives. Every method is one atomic look or change."""

    def read(self) -> Holder | None:
        """Who holds it, expired or not."""
        ...

    def swap(self, old: Holder | None, new: Holder | None) -> bool:
        """Put ``new`` in the place of ``old`` (``None``: nobody) if ``old`` is still what is there; say whether it was.

        Two holders are the same when their tokens and expiries are.
        """
        ...


class State(StrEnum):
    """How a deployment is."""

    RUNNING = "running"
    STARTING = "starting"
    STOPPED = "stopped"
    CRASHED = "crashed"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Status:
    """How one deployment is, now.

    ``uptime`` is in seconds; ``detail`` are lines for people (why it died, its last log lines).
    """

    state: State
    endpoint: Endpoint | None = None
    uptime: float | None = None
    restarts: int | None = None
    replicas: str | None = None
    pid: int | None = None
    detail: tuple[str, ...] = ()


class World(Protocol):
    """One deployment's place in the world. Reads and writes only what its identity owns."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of resource there are, in the order in which they are made."""
        ...

    @property
    def records(self) -> Records:
        """The releases."""
        ...

    @property
    def lock(self) -> Lock:
        """The lock."""
        ...

    def observe(self) -> Mapping[Key, Observed]:
        """Everything there is that this deployment owns. Only reads; one listing per kind."""
        ...

    def apply(self, step: Step) -> Mapping[str, Value]:
        """Make one change and answer the resource's fields as the world has them now (nothing for a deletion).

        Safe to repeat: a creation of what is there adopts or completes it, a deletion of what is gone is done.
        May be called from several threads, never twice at once for one resource.

        Raises:
            TransientError: worth another try.
            PackError: not worth another try.
        """
        ...

    def endpoint(self, phase: Phase, observed: Mapping[Key, Observed]) -> Endpoint | None:
        """Where verify reaches the candidate (``CANDIDATE``) or clients the server (``SWITCH``); ``None``: nowhere."""
        ...

    def status(self) -> Status:
        """How the deployment is now."""
        ...

    def logs(self, *, lines: int, follow: bool) -> Iterator[str]:
        """The last ``lines`` lines of the server's log, and with ``follow`` every later one until the caller stops."""
        ...


@runtime_checkable
class Probed(Protocol):
    """A world that keeps a key for the deploy's own tokens. Optional.

    Without one, a deploy cannot look at an endpoint that asks who is calling, and says so.
    """

    def probe_key(self) -> bytes | None:
        """The key; its server gets it as text, in hexadecimal digits (``serve.probe.key`` of its config).

        ``None`` where it is not made yet. Shown nowhere.
        """
        ...


@runtime_checkable
class Rehearsed(Protocol):
    """A world that can be asked whether it would take a plan, before the first change is made. Optional."""

    def rehearse(self, plan: Plan) -> tuple[str, ...]:
        """Change nothing; the lines say of what it cannot be known.

        Raises:
            PackError: the world would refuse it.
        """
        ...


@runtime_checkable
class Telling(Protocol):
    """A world that knows what a deploy leaves for people to do. Optional."""

    def notes(self) -> tuple[str, ...]:
        """Lines for people, of what is there now: a record that somebody is to make, for example."""
        ...


@runtime_checkable
class Hurried(Protocol):
    """A world whose changes wait for what they start, and can be told not to. Optional."""

    def hurry(self) -> None:
        """Changes under way end with an error where they wait: nobody needs them. Until the next observe."""
        ...


@runtime_checkable
class Inside(Protocol):
    """A world that can look at an endpoint from inside, where this machine has no way to its address. Optional."""

    def inside(self, endpoint: Endpoint) -> AbstractContextManager[Endpoint] | None:
        """Another way to the same server, open as long as the context is; its ``via`` says which. ``None``: no way."""
        ...


@runtime_checkable
class Signing(Protocol):
    """A world that can sign requests for a platform which asks who is calling (``Auth.IAM``). Optional."""

    def signed(self, endpoint: Endpoint) -> AbstractContextManager[Endpoint]:
        """The same endpoint as one that asks nobody, on this machine, open as long as the context is."""
        ...

"""Resources: what a target owns in the world, as desired and as observed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from mcp_packager.target.values import Key, Value, decode, encode, refs


class Phase(StrEnum):
    """When a resource is created or updated. Deletions happen in ``retire``."""

    PREPARE = "prepare"
    """Harms nobody: images, roles, files."""
    CANDIDATE = "candidate"
    """The new code runs, no client reaches it."""
    SWITCH = "switch"
    """Clients move to the new code."""
    RETIRE = "retire"
    """The old goes."""


class Scope(StrEnum):
    """Who owns a resource, and so whether it goes with the tool."""

    TOOL = "tool"
    SHARED = "shared"
    """Never deleted with one tool."""
    DATA = "data"
    """Stays at destroy unless ``--data`` is said."""


class Lifetime(StrEnum):
    """How long a resource stays."""

    CURRENT = "current"
    """As long as the current release names it."""
    RELEASE = "release"
    """As long as any kept release names it: what a rollback needs."""
    TRANSIENT = "transient"
    """Only during a deploy that switches; deleted in retire. Candidates are this."""


class Action(StrEnum):
    """What a plan does to one resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing a target wants in the world. Pure data.

    ``depends`` adds to the dependencies that Refs inside ``fields`` already make. ``says`` is what people are to know
    of it when it is made or changed, in a few words, for the plan.
    """

    kind: str
    name: str
    fields: Mapping[str, Value]
    depends: tuple[Key, ...] = ()
    phase: Phase = Phase.PREPARE
    scope: Scope = Scope.TOOL
    lifetime: Lifetime = Lifetime.CURRENT
    says: str = ""

    @property
    def key(self) -> Key:
        """Kind and name."""
        return Key(self.kind, self.name)

    @property
    def needs(self) -> frozenset[Key]:
        """Everything that must be there before this."""
        return frozenset(self.depends) | {ref.resource for ref in refs(self.fields)}

    def as_json(self) -> dict[str, Any]:
        """Plain data, for release records."""
        return {
            "kind": self.kind,
            "name": self.name,
            "fields": encode(self.fields),
            "depends": [list(key) for key in self.depends],
            "phase": self.phase.value,
            "scope": self.scope.value,
            "lifetime": self.lifetime.value,
            **({"says": self.says} if self.says else {}),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Resource:
        """The inverse of :meth:`as_json`."""
        return cls(
            kind=document["kind"],
            name=document["name"],
            fields=decode(document["fields"]),
            depends=tuple(Key(*key) for key in document["depends"]),
            phase=Phase(document["phase"]),
            scope=Scope(document["scope"]),
            lifetime=Lifetime(document["lifetime"]),
            says=document.get("says", ""),
        )


@dataclass(frozen=True, slots=True)
class Observed:
    """One owned thing as the world has it. ``fields`` holds the desired fields it knows and what only it knows."""

    kind: str
    name: str
    fields: Mapping[str, Value]
    scope: Scope = Scope.TOOL

    @property
    def key(self) -> Key:
        """Kind and name."""
        return Key(self.kind, self.name)


Projection: TypeAlias = Callable[[Mapping[str, Value], Mapping[str, Value]], Mapping[str, Value]]
"""``(observed fields, desired fields) -> observed fields as far as the target owns them, spelled as desired``."""


def owned(observed: Mapping[str, Value], desired: Mapping[str, Value]) -> Mapping[str, Value]:
    """The plain projection: the observed fields that are desired, and nothing else."""
    return {name: observed.get(name) for name in desired}


@dataclass(frozen=True, slots=True)
class Kind:
    """What the engine must know of one kind of resource.

    A world lists its kinds in the order in which they are made; deletions go the other way round.
    ``replace_on`` names fields that cannot change in place. ``stable`` names fields of the world's own that an
    update leaves as they were, so that a Ref to them is known before apply. ``effect`` says what an update or
    replacement does to clients, in a few words, for the plan. ``secret`` marks a kind that holds values of the
    user's, each resource under the secret's name: its Generated field is the value's version, which ``secrets push``
    has made anew. A world that is then given an older version goes back to it; it keeps the one before the newest.
    ``derived`` marks a kind that follows from the manifest alone and whose names hold their content's hash: nobody
    holds on to one, so a deploy that has another in its place takes it away without asking.
    """

    name: str
    project: Projection = owned
    replace_on: frozenset[str] = field(default_factory=frozenset)
    stable: frozenset[str] = field(default_factory=frozenset)
    effect: str = ""
    secret: bool = False
    derived: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One change for the world to make, with every Ref resolved. Safe to repeat.

    ``resource`` is what must be there afterwards (``None`` for a deletion); a ``Generated`` leaf that remains is
    for the world to make. ``observed`` is what was there when the plan was made.
    """

    action: Action
    key: Key
    resource: Resource | None
    observed: Observed | None

"""Plans: desired against observed, as data that can be printed, compared and carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp_packager.target.resources import Action, Observed, Phase, Resource, Scope
from mcp_packager.target.values import Key, Value, encode

PLAN_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs. ``path`` is dotted; ``new`` may be an ``Unknown``: known only after apply."""

    path: str
    old: Value
    new: Value

    def as_json(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        return {"path": self.path, "old": encode(self.old), "new": encode(self.new)}


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one resource. ``resource`` is ``None`` for a deletion, ``observed`` for a creation."""

    action: Action
    key: Key
    phase: Phase
    resource: Resource | None = None
    observed: Observed | None = None
    fields: tuple[FieldChange, ...] = ()
    effect: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        return {
            "action": self.action.value,
            "kind": self.key.kind,
            "name": self.key.name,
            "phase": self.phase.value,
            "fields": [change.as_json() for change in self.fields],
            "effect": self.effect,
        }


@dataclass(frozen=True, slots=True)
class Kept:
    """Something observed that no resource asks for and that stays, with the reason."""

    key: Key
    why: str
    scope: Scope = Scope.TOOL


@dataclass(frozen=True, slots=True)
class Plan:
    """All that would change, in the order in which it would, and what stays although nothing current asks for it.

    ``unchanged`` are the resources that are as desired.
    """

    changes: tuple[Change, ...]
    unchanged: tuple[Change, ...] = ()
    kept: tuple[Kept, ...] = ()

    @property
    def due(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.changes)

    @property
    def switches(self) -> bool:
        """Whether clients are moved."""
        return any(change.phase is Phase.SWITCH for change in self.changes)

    def in_phase(self, phase: Phase) -> tuple[Change, ...]:
        """The changes of one phase, in order."""
        return tuple(change for change in self.changes if change.phase is phase)

    def counts(self) -> Mapping[Action, int]:
        """How many changes there are of each sort."""
        return {action: sum(change.action is action for change in self.changes) for action in Action}

    def as_json(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        return {
            "schema": PLAN_SCHEMA,
            "due": self.due,
            "changes": [change.as_json() for change in self.changes],
            "unchanged": [list(change.key) for change in self.unchanged],
            "kept": [{"kind": kept.key.kind, "name": kept.key.name, "why": kept.why} for kept in self.kept],
        }

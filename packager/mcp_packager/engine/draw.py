"""A plan as text: short, aligned, readable by a tired person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mcp_packager.target import Action, Change, FieldChange, Phase, Plan, Unknown, Value, canonical
from mcp_packager.target.values import holds_unknown

_MARKS: Final = {
    Action.CREATE: ("+", "32"),
    Action.UPDATE: ("~", "33"),
    Action.REPLACE: ("±", "35"),
    Action.DELETE: ("-", "31"),
    Action.NOTHING: (" ", "0"),
}
_WIDEST: Final = 60


def draw(plan: Plan, *, colour: bool = False) -> str:
    """The plan for people, without a closing line break."""
    return "\n".join(_lines(plan, colour=colour))


def _lines(plan: Plan, *, colour: bool) -> Iterator[str]:
    if not plan.due:
        yield "nothing to do"
    width = max((len(str(change.key)) for change in plan.changes), default=0)
    for change in plan.changes:
        mark, code = _MARKS[change.action]
        words = f"{mark} {change.action.value:<7} {change.key!s:<{width}}  {_when(change)}".rstrip()
        yield f"\x1b[{code}m{words}\x1b[0m" if colour else words
        if change.action in {Action.UPDATE, Action.REPLACE}:
            names = max((len(field.path) for field in change.fields), default=0)
            yield from (f"    {_field(field, names)}" for field in change.fields)
    for kept in plan.kept:
        yield f"  keep    {kept.key}  ({kept.why})"
    if plan.due:
        yield _summary(plan)


def _when(change: Change) -> str:
    effect = f"; {change.effect}" if change.effect else ""
    return f"{change.phase.value}{effect}"


def _field(field: FieldChange, width: int) -> str:
    return f"{field.path:<{width}}  {_value(field.old)} → {_value(field.new)}"


def _value(value: Value) -> str:
    if isinstance(value, Unknown):
        return f"known after apply ({value.why})"
    if holds_unknown(value):
        return "known after apply"
    text = canonical(value).decode()
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _summary(plan: Plan) -> str:
    counts = plan.counts()
    words = {
        Action.CREATE: "to create",
        Action.UPDATE: "to update",
        Action.REPLACE: "to replace",
        Action.DELETE: "to delete",
    }
    said = ", ".join(f"{counts[action]} {word}" for action, word in words.items() if counts[action])
    clients = "clients are moved" if plan.in_phase(Phase.SWITCH) else "clients notice nothing"
    return f"{said}; {clients}"

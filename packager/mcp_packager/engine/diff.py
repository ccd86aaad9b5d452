"""Desired against observed, field by field. Pure: data in, a plan out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mcp_packager.engine.order import in_order, waves
from mcp_packager.target import (
    Action,
    Change,
    FieldChange,
    Generated,
    Kept,
    Key,
    Kind,
    Lifetime,
    Observed,
    Phase,
    Plan,
    Ref,
    Resource,
    Scope,
    Unknown,
    Value,
    canonical,
)
from mcp_packager.target.values import holds_unknown, resolve


def diff(
    resources: Sequence[Resource],
    observed: Mapping[Key, Observed],
    kinds: Sequence[Kind],
    *,
    kept: frozenset[Key] = frozenset(),
    anew: frozenset[Key] = frozenset(),
    data: bool = False,
) -> Plan:
    """The plan that leads from what is observed to what is desired.

    Args:
        resources: everything that is desired; nothing for a destroy.
        observed: everything that is there and owned.
        kinds: what the world says of its kinds, in the order in which they are made.
        kept: keys that stay although nothing desired names them, because a kept release needs them.
        anew: keys whose Generated values are made once more, although they were made before.
        data: whether data goes too, where nothing asks for it.
    """
    diffing = _Diff(observed, {kind.name: kind for kind in kinds}, anew)
    ordered = in_order(resources)
    for resource in ordered:
        if resource.lifetime is not Lifetime.TRANSIENT:
            diffing.judge(resource)
    if any(change.phase is Phase.SWITCH for change in diffing.changes):
        for resource in ordered:
            if resource.lifetime is Lifetime.TRANSIENT:
                diffing.judge(resource)
    place = {resource.key: index for index, resource in enumerate(ordered)}
    changes = sorted(diffing.changes, key=lambda change: place[change.key])
    goes, stays = _leftover(ordered, diffing.changes, observed, kept, data=data)
    for wave in waves(goes, [kind.name for kind in kinds]):
        changes.extend(Change(Action.DELETE, key, Phase.RETIRE, observed=observed.get(key)) for key in wave)
    return Plan(tuple(changes), tuple(diffing.unchanged), tuple(stays))


def _leftover(
    ordered: Sequence[Resource],
    changes: Sequence[Change],
    observed: Mapping[Key, Observed],
    kept: frozenset[Key],
    *,
    data: bool,
) -> tuple[list[Key], list[Kept]]:
    desired = {resource.key for resource in ordered if resource.lifetime is not Lifetime.TRANSIENT}
    made = {resource.key for resource in ordered if resource.lifetime is Lifetime.TRANSIENT}
    # A candidate that this plan makes, or finds as it wants it, goes when its work is done.
    goes = [key for key in made if key in observed or any(change.key == key for change in changes)]
    stays: list[Kept] = []
    for key, thing in observed.items():
        if key in desired or key in made:
            continue
        match thing.scope:
            case Scope.SHARED:
                stays.append(Kept(key, "shared with other tools", thing.scope))
            case Scope.DATA if not data:
                stays.append(Kept(key, "data", thing.scope))
            case Scope.TOOL if key in kept:
                stays.append(Kept(key, "an earlier release needs it", thing.scope))
            case Scope.TOOL | Scope.DATA:
                goes.append(key)
    return goes, stays


@dataclass(frozen=True, slots=True)
class Difference:
    """One resource compared: the action that is due and the fields that differ."""

    action: Action
    fields: tuple[FieldChange, ...]


class _Diff:
    """One comparison at work: judges resources in order, so that each Ref's resource was judged before."""

    def __init__(self, observed: Mapping[Key, Observed], kinds: Mapping[str, Kind], anew: frozenset[Key]) -> None:
        self._observed = observed
        self._kinds = kinds
        self._anew = anew
        self._actions: dict[Key, Action] = {}
        self._resolved: dict[Key, Mapping[str, Value]] = {}
        self.changes: list[Change] = []
        self.unchanged: list[Change] = []

    def judge(self, resource: Resource) -> None:
        kind = self._kinds[resource.kind]
        there = self._observed.get(resource.key)
        made = None if resource.key in self._anew else there
        wanted = {name: self._known(value, name, made) for name, value in resource.fields.items()}
        difference = compare(wanted, there, kind)
        self._actions[resource.key] = difference.action
        self._resolved[resource.key] = wanted
        change = Change(
            action=difference.action,
            key=resource.key,
            phase=resource.phase,
            resource=resource,
            observed=there,
            fields=difference.fields,
            effect="; ".join(filter(None, (kind.effect if there is not None else "", resource.says))),
        )
        (self.unchanged if difference.action is Action.NOTHING else self.changes).append(change)

    def _known(self, value: Value, name: str, there: Observed | None) -> Value:
        def leaf(item: Ref | Generated) -> Value:
            match item:
                case Ref():
                    return self._follow(item)
                case Generated(what):
                    found = None if there is None else there.fields.get(name)
                    return Unknown(f"new {what}") if found is None else found

        return resolve(value, leaf)

    def _follow(self, ref: Ref) -> Value:
        desired = self._resolved.get(ref.resource, {})
        if ref.field in desired:
            return desired[ref.field]
        there = self._observed.get(ref.resource)
        match self._actions.get(ref.resource):
            case Action.NOTHING if there is not None:
                return there.fields.get(ref.field)
            case Action.UPDATE if there is not None and ref.field in self._kinds[ref.resource.kind].stable:
                return there.fields.get(ref.field)
            case _:
                return Unknown(str(ref))


def compare(wanted: Mapping[str, Value], there: Observed | None, kind: Kind) -> Difference:
    """What is due for one resource whose Refs are resolved as far as they are known."""
    if there is None:
        return Difference(Action.CREATE, tuple(FieldChange(name, None, value) for name, value in wanted.items()))
    have = kind.project(there.fields, wanted)
    differing = [name for name in wanted if holds_unknown(wanted[name]) or not _same(have.get(name), wanted[name])]
    fields = tuple(change for name in differing for change in _flat(name, have.get(name), wanted[name]))
    if not differing:
        return Difference(Action.NOTHING, ())
    action = Action.REPLACE if kind.replace_on.intersection(differing) else Action.UPDATE
    return Difference(action, fields)


def _same(old: Value, new: Value) -> bool:
    return canonical(old) == canonical(new)


def _flat(path: str, old: Value, new: Value) -> Iterator[FieldChange]:
    """One line for each leaf of two mappings that differs, and of lists of as many mappings; all else is one line."""
    match old, new:
        case Mapping(), Mapping():
            for name in sorted(old.keys() | new.keys()):
                if holds_unknown(new.get(name)) or not _same(old.get(name), new.get(name)):
                    yield from _flat(f"{path}.{name}", old.get(name), new.get(name))
        case [*before], [*after] if len(before) == len(after) and all(map(_is_mapping, (*before, *after))):
            for place, (one, other) in enumerate(zip(before, after, strict=True)):
                if holds_unknown(other) or not _same(one, other):
                    yield from _flat(f"{path}[{place}]", one, other)
        case _:
            yield FieldChange(path, old, new)


def _is_mapping(value: Value) -> bool:
    return isinstance(value, Mapping)

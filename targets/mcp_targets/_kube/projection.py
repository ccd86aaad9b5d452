"""An object of the cluster's as far as we own it, spelled as we would: what a plan compares with what is wanted.

The API server adds defaults, spells quantities its own way, leaves out what is empty, and remembers which manager set
which field (https://kubernetes.io/docs/reference/using-api/server-side-apply/). What we want is compared by value,
whoever set it last; beyond that, only what our own manager still holds counts, for it is ours to take away.

Some lists and maps are one value to the server, which has one manager: there nobody can add something of his own. As
long as it is ours, what we did not ask for in it is the server's defaults. Once somebody else has changed it, all that
is in it counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcp_packager.target import Value
from mcp_targets._kube.names import MANAGER
from mcp_targets._kube.quantities import amount

OBJECT: Final = "object"
OWNED: Final = "owned"
STATE: Final = "state"
"""Fields of an observed object: itself, what our manager owns of it, and what keeps it from being done."""

FOREIGN: Final = "foreign"
"""A field of what is there and was not made by us, and is used as it is."""

_AMOUNTS: Final = frozenset({"limits", "requests", "capacity", "hard"})
_AMOUNT: Final = frozenset({"sizeLimit", "storage", "averageValue", "divisor"})
_LISTS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "ownerReferences": ("uid",),
}
"""Lists that are merged by keys, and not replaced whole: those of the API's ``x-kubernetes-list-map-keys``."""
_MAPS: Final = frozenset(
    {
        "configMapKeyRef",
        "fieldRef",
        "labelSelector",
        "namespaceSelector",
        "nodeSelector",
        "podSelector",
        "resourceFieldRef",
        "roleRef",
        "scaleTargetRef",
        "secretKeyRef",
        "selector",
    }
)
"""Maps that are replaced whole: those of the API's ``x-kubernetes-map-type: atomic``."""


@dataclass(frozen=True, slots=True)
class _Ours:
    """Which parts of a value our manager holds. ``marks`` is the server's set of them; without one: all, or none."""

    marks: Mapping[str, Any] | None
    everything: bool = False

    def has(self, key: str) -> bool:
        return self.everything if self.marks is None else f"f:{key}" in self.marks

    def inside(self, key: str) -> _Ours:
        return self if self.marks is None else _Ours(self.marks.get(f"f:{key}", {}))

    def whole(self, key: str) -> _Ours:
        """What counts in a value that has one manager: everything, once it is another than ours."""
        if self.marks is None:
            return self
        return _NOTHING if self.has(key) else _EVERYTHING


_NOTHING: Final = _Ours(None)
_EVERYTHING: Final = _Ours(None, everything=True)


def observed_fields(thing: Mapping[str, Any], state: str | None = None) -> dict[str, Value]:
    """What is kept of a live object. ``state`` says why it is not what was asked for although it is spelled so."""
    metadata = thing.get("metadata", {})
    fields: dict[str, Value] = {OBJECT: _plain(thing), OWNED: _owned(metadata.get("managedFields", ()))}
    return fields if state is None else {**fields, STATE: state}


def _plain(thing: Mapping[str, Any]) -> dict[str, Any]:
    """The object without what only the server writes."""
    metadata = {key: value for key, value in thing.get("metadata", {}).items() if key != "managedFields"}
    return {**{key: value for key, value in thing.items() if key != "status"}, "metadata": metadata}


def _owned(managed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The fields that our manager applied, as the server's own set of them."""
    for entry in managed:
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            found = entry.get("fieldsV1", {})
            return dict(found) if isinstance(found, Mapping) else {}
    return {}


def held(thing: Mapping[str, Any]) -> dict[str, Any]:
    """A live object as far as our manager holds it: applied again as it is, it changes nothing."""
    marks, plain = _owned(thing["metadata"].get("managedFields", ())), _plain(thing)
    own: Mapping[str, Any] = _held(plain, _Ours(marks)) if marks else plain
    kept = {key: own.get("metadata", {}).get(key) for key in ("labels", "annotations")}
    named = {key: thing["metadata"][key] for key in ("name", "namespace") if key in thing["metadata"]}
    return {
        **own,
        "apiVersion": thing["apiVersion"],
        "kind": thing["kind"],
        "metadata": {**named, **{key: value for key, value in kept.items() if value}},
    }


def projected(observed: Mapping[str, Value], desired: Mapping[str, Value]) -> Mapping[str, Value]:
    """The projection of every object: what is there as far as it is ours, spelled as desired."""
    if OBJECT not in desired:
        return {name: observed.get(name) for name in desired}
    if observed.get(FOREIGN):
        return desired
    live, wanted = observed.get(OBJECT) or {}, desired[OBJECT]
    marks = observed.get(OWNED) or {}
    seen = _mapping("", live, _Ours(marks) if marks else _NOTHING, wanted)
    state = observed.get(STATE)
    return {OBJECT: seen if state is None else {**seen, STATE: state}}


def _value(name: str, live: Value, ours: _Ours, wanted: Value) -> Value:
    """``name`` is the key of the innermost map around it."""
    match live, wanted:
        case Mapping(), Mapping():
            return _mapping(name, live, ours, wanted)
        case [*there], [*asked]:
            return _list(name, there, ours, asked)
        case _:
            return wanted if _same(name, live, wanted) else live


def _mapping(name: str, live: Mapping[str, Any], ours: _Ours, wanted: Mapping[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    inner = name if name in _AMOUNTS else ""
    for key, asked in wanted.items():
        if key in live:
            within = ours.whole(key) if _is_whole(key, asked) else ours.inside(key)
            seen[key] = _value(inner or key, live[key], within, asked)
        elif _empty(asked) and (not ours.marks or ours.has(key)):
            # Applied, and left out by the server, which still counts it as ours.
            seen[key] = asked
    for key in live.keys() - wanted.keys():
        if ours.has(key):
            seen[key] = _held(live[key], ours.inside(key))
    return seen


def _is_whole(name: str, wanted: Value) -> bool:
    """Whether the server takes a value as one, with one manager."""
    match wanted:
        case Mapping():
            return name in _MAPS
        case [*items]:
            return _keys(name, items) is None
        case _:
            return False


def _list(name: str, live: list[Any], ours: _Ours, wanted: list[Any]) -> Value:
    keys = _keys(name, wanted)
    if keys is None:
        if len(live) != len(wanted):
            return live
        return [_value(name, there, ours, asked) for there, asked in zip(live, wanted, strict=True)]
    there = {_key(item, keys): item for item in live}
    asked_for = {_key(item, keys): item for item in wanted}
    inside = _items(ours, keys, there)
    none = _NOTHING if ours.marks is None else _Ours({})
    seen = [
        _value(name, there[place], inside.get(place, none), asked)
        for place, asked in asked_for.items()
        if place in there
    ]
    seen += [_held(item, inside[place]) for place, item in there.items() if place not in asked_for and place in inside]
    return seen


def _items(ours: _Ours, keys: Sequence[str], live: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], _Ours]:
    """What our manager holds of a list's items, by their keys."""
    if ours.marks is None:
        return dict.fromkeys(live, ours) if ours.everything else {}
    return {_mark(mark, keys): _Ours(held) for mark, held in ours.marks.items() if mark.startswith("k:")}


def _keys(name: str, wanted: Sequence[Any]) -> tuple[str, ...] | None:
    """What a list's items are known by; ``None``: the list is one thing."""
    if not all(isinstance(item, Mapping) for item in wanted):
        return None
    if name == "ports":
        if all("containerPort" in item for item in wanted):
            return ("containerPort", "protocol")
        return ("port", "protocol") if all("port" in item and "endPort" not in item for item in wanted) else None
    found = _LISTS.get(name)
    return found if found is not None and all(found[0] in item for item in wanted) else None


def _key(item: Mapping[str, Any], keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(item.get(key, "TCP" if key == "protocol" else "")) for key in keys)


def _mark(mark: str, keys: Sequence[str]) -> tuple[str, ...]:
    """The place that a ``k:{…}`` of a set of fields names."""
    return _key(json.loads(mark.removeprefix("k:")), keys)


def _held(live: Value, ours: _Ours) -> Value:
    """What our manager holds of a value that nobody asks for any more."""
    match live:
        case Mapping() if ours.marks:
            return {key: _held(value, ours.inside(key)) for key, value in live.items() if ours.has(key)}
        case _:
            return live


def _same(name: str, live: Value, wanted: Value) -> bool:
    if type(live) is type(wanted) and live == wanted:
        return True
    if name not in _AMOUNTS and name not in _AMOUNT:
        return False
    one, other = amount(live), amount(wanted)
    return one is not None and one == other


def _empty(value: Value) -> bool:
    return value in (None, False, "", 0, [], {})

"""Whether one JSON Schema takes everything that another takes, and where it does not.

Only what JSON Schema says about values counts; titles, descriptions, defaults and examples do not. What cannot be
decided (``not``, ``if``, a changed ``pattern``) counts as refused: a person decides then. Every walk ends: pairs of
references are visited once, and a budget bounds what unions multiply.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mcp_packager.contract import bounds

ANNOTATIONS: Final = frozenset(
    {
        *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "discriminator"),
        *("$comment", "$id", "$schema", "$anchor", "$defs", "definitions"),
    }
)
_HANDLED: Final = frozenset(
    {
        *("type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"),
        *("properties", "required", "additionalProperties", "items", "prefixItems"),
        *bounds.KEYWORDS,
    }
)
_TYPES: Final = ("null", "boolean", "integer", "number", "string", "array", "object")
_BUDGET: Final = 20_000
"""Pairs of schemas looked at before giving up; a contract of a hundred tools stays far below."""

Schema = Mapping[str, Any] | bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """A place where the second schema refuses what the first takes.

    ``path`` leads through properties (``items`` for array items, ``*`` for any other property); ``why`` is one of
    ``required``, ``gone``, ``closed``, ``type``, ``values``, ``tightened`` or ``unclear``; ``detail`` says it.
    """

    path: tuple[str, ...]
    why: str
    detail: str


class TooLarge(Exception):  # noqa: N818  # an outcome, caught beside its cause
    """The schemas multiply beyond the budget."""


@dataclass(slots=True)
class _Walk:
    """One comparison: the documents that references point into, and what was seen."""

    left: Mapping[str, Any]
    right: Mapping[str, Any]
    names: bool
    seen: set[tuple[str, str]] = field(default_factory=set)
    steps: int = 0

    def compare(self, accepted: Schema, by: Schema, path: tuple[str, ...]) -> Iterator[Refusal]:
        """Refusals of ``by`` among what ``accepted`` takes."""
        self.steps += 1
        if self.steps > _BUDGET:
            raise TooLarge
        if accepted is False or by is True or by == {}:
            return
        if by is False:
            yield Refusal(path, "gone", "is no longer possible")
            return
        one: Mapping[str, Any] = {} if accepted is True else accepted
        if _refers(one) or _refers(by):
            pair = (_key(one), _key(by))
            if pair in self.seen:
                return
            self.seen.add(pair)
        lefts = list(_alternatives(_resolved(one, self.left), self.left))
        rights = list(_alternatives(_resolved(by, self.right), self.right))
        for alternative in lefts:
            yield from self._among(alternative, rights, path)

    def _among(
        self, accepted: Mapping[str, Any], rights: list[Mapping[str, Any]], path: tuple[str, ...]
    ) -> Iterator[Refusal]:
        """One alternative of the first against all of the second: one that takes it all is enough."""
        best: list[Refusal] | None = None
        for right in rights:
            held = set(self.seen)
            refusals = list(self._single(accepted, right, path))
            if not refusals:
                return
            self.seen = held
            if best is None or _distance(refusals) < _distance(best):
                best = refusals
        if best is None:
            yield Refusal(path, "gone", "is no longer possible")
        elif len(rights) == 1 or not any(_is_whole(refusal, path) for refusal in best):
            yield from best
        else:
            yield Refusal(path, "type", f"no longer takes {_name(accepted)}")

    def _single(self, one: Mapping[str, Any], by: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Refusal]:
        ours, theirs = _values(one), _values(by)
        if theirs is not None:
            yield from _finite(ours, theirs, path)
            return
        if ours is not None:
            wrong = [value for value in ours if not bounds.takes(by, value)]
            if wrong:
                yield Refusal(path, "values", f"no longer takes {_listed(wrong)}")
            return
        types, allowed = _types(one), _types(by)
        lost = [name for name in types if name not in allowed and not (name == "integer" and "number" in allowed)]
        if lost:
            yield Refusal(path, "type", f"takes {_kinds(allowed)}, took {_kinds(types)}")
            return
        for detail in bounds.tightened(one, by, types):
            yield Refusal(path, "tightened", detail)
        if "object" in types:
            yield from self._object(one, by, path)
        if "array" in types:
            yield from self._array(one, by, path)
        for keyword in sorted(by.keys() - _HANDLED - ANNOTATIONS):
            if not keyword.startswith("x-") and by[keyword] != one.get(keyword):
                yield Refusal(path, "unclear", f"{keyword} changed in a way that cannot be judged")

    def _object(self, one: Mapping[str, Any], by: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Refusal]:
        ours, theirs = one.get("properties", {}), by.get("properties", {})
        rest, theirs_rest = one.get("additionalProperties", True), by.get("additionalProperties", True)
        for name in by.get("required", ()):
            if name not in one.get("required", ()):
                yield Refusal((*path, name), "required", "is required")
        for name, schema in ours.items():
            if name in theirs:
                yield from self.compare(schema, theirs[name], (*path, name))
            elif theirs_rest is False or (theirs_rest is True and self.names):
                yield Refusal((*path, name), "gone", "is gone")
            else:
                yield from self.compare(schema, theirs_rest, (*path, name))
        if rest is not False and theirs_rest is False:
            yield Refusal(path, "closed", "no longer takes further properties")
        elif rest is not False and theirs_rest is not True:
            yield from self.compare(rest, theirs_rest, (*path, "*"))

    def _array(self, one: Mapping[str, Any], by: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Refusal]:
        ours, theirs = one.get("prefixItems", ()), by.get("prefixItems", ())
        rest, theirs_rest = one.get("items", True), by.get("items", True)
        for index in range(max(len(ours), len(theirs))):
            left = ours[index] if index < len(ours) else rest
            right = theirs[index] if index < len(theirs) else theirs_rest
            yield from self.compare(left, right, (*path, str(index)))
        yield from self.compare(rest, theirs_rest, (*path, "items"))


def refusals(accepted: Mapping[str, Any], by: Mapping[str, Any], *, names: bool = True) -> tuple[Refusal, ...]:
    """Everywhere that ``by`` refuses what ``accepted`` takes; both are whole documents with their own ``$defs``.

    ``names``: whether a property that ``by`` no longer names counts as refused although further properties are
    welcome. It does for an argument, which would be ignored; it does not for a part of a result.
    """
    try:
        return tuple(dict.fromkeys(_Walk(accepted, by, names).compare(accepted, by, ())))
    except TooLarge:
        return (Refusal((), "unclear", "is too large to be compared"),)
    except RecursionError:
        return (Refusal((), "unclear", "is nested too deeply to be compared"),)


def _finite(ours: list[Any] | None, theirs: list[Any], path: tuple[str, ...]) -> Iterator[Refusal]:
    if ours is None:
        yield Refusal(path, "values", f"takes only {_listed(theirs)}")
        return
    lost = [value for value in ours if not any(bounds.same(value, other) for other in theirs)]
    if lost:
        yield Refusal(path, "values", f"no longer takes {_listed(lost)}")


def _refers(schema: Mapping[str, Any]) -> bool:
    return "$ref" in schema


def _key(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, sort_keys=True, default=str)


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema with its reference followed and its only ``allOf`` member merged; annotations beside them are kept."""
    visited: set[str] = set()
    while True:
        reference = schema.get("$ref")
        beside = {key: value for key, value in schema.items() if key not in {"$ref", "allOf"}}
        if isinstance(reference, str):
            if reference in visited:
                return beside
            visited.add(reference)
            schema = {**_pointed(reference, root), **beside}
            continue
        members = schema.get("allOf")
        if isinstance(members, list) and len(members) == 1 and isinstance(members[0], dict):
            schema = {**members[0], **beside}
            continue
        return schema


def _pointed(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a local JSON pointer leads to; anything where it leads nowhere."""
    here: Any = root
    for part in reference.removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        here = here.get(name, {}) if isinstance(here, dict) else {}
    return here if isinstance(here, dict) else {}


def _alternatives(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """The members of a union, each with what stands beside the union; the schema itself where it is none."""
    for keyword in ("anyOf", "oneOf"):
        members = schema.get(keyword)
        if isinstance(members, list) and depth < 8:
            beside = {key: value for key, value in schema.items() if key != keyword}
            for member in members:
                if isinstance(member, dict):
                    yield from _alternatives({**beside, **_resolved(member, root)}, root, depth + 1)
                elif member is True:
                    yield beside
            return
    types = schema.get("type")
    if isinstance(types, list):
        yield from ({**schema, "type": name} for name in types)
        return
    yield schema


def _values(schema: Mapping[str, Any]) -> list[Any] | None:
    """The values of a schema that lists them."""
    if "const" in schema:
        return [schema["const"]]
    if isinstance(schema.get("enum"), list):
        return list(schema["enum"])
    match schema.get("type"):
        case "null":
            return [None]
        case "boolean":
            return [False, True]
        case _:
            return None


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    named = schema.get("type")
    if isinstance(named, str):
        return (named,)
    if "properties" in schema or "required" in schema:
        return ("object",)
    return _TYPES


def _is_whole(refusal: Refusal, path: tuple[str, ...]) -> bool:
    """Whether it is the value as a whole that does not fit, rather than a part of it."""
    return refusal.path == path and refusal.why in {"type", "values"}


def _distance(refused: list[Refusal]) -> tuple[bool, int]:
    """How far an alternative is from fitting: another type is farther than any other difference."""
    return any(refusal.why in {"type", "values"} for refusal in refused), len(refused)


def _name(schema: Mapping[str, Any]) -> str:
    values = _values(schema)
    if values is not None:
        return _listed(values)
    return _kinds(_types(schema))


def _kinds(types: tuple[str, ...]) -> str:
    return "every value" if types == _TYPES else _listed(types)


def _listed(values: list[Any] | tuple[str, ...]) -> str:
    shown = [value if isinstance(value, str) else json.dumps(value, default=str) for value in values[:8]]
    return ", ".join(shown) + (", …" if len(values) > 8 else "")

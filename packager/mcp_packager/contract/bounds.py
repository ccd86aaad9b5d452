"""The keywords of JSON Schema that bound a value: numbers, lengths, patterns, counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_LOWER: Final = {
    "number": ("minimum", "exclusiveMinimum"),
    "integer": ("minimum", "exclusiveMinimum"),
    "string": ("minLength",),
    "array": ("minItems",),
    "object": ("minProperties",),
}
_UPPER: Final = {
    "number": ("maximum", "exclusiveMaximum"),
    "integer": ("maximum", "exclusiveMaximum"),
    "string": ("maxLength",),
    "array": ("maxItems",),
    "object": ("maxProperties",),
}
_EXACT: Final = {
    "string": ("pattern", "format", "contentEncoding", "contentMediaType"),
    "number": ("multipleOf",),
    "integer": ("multipleOf",),
    "array": ("uniqueItems",),
}
_FROM_ZERO: Final = frozenset({"minLength", "minItems", "minProperties"})
"""Counts: at least nothing is no bound."""

_ALL: Final = (_LOWER, _UPPER, _EXACT)

KEYWORDS: Final = frozenset(word for table in _ALL for words in table.values() for word in words)


def tightened(one: Mapping[str, Any], by: Mapping[str, Any], types: tuple[str, ...]) -> Iterator[str]:
    """What ``by`` bounds more tightly than ``one``, for values of these types."""
    told: set[str] = set()
    for kind in types:
        for words, lower in ((_LOWER.get(kind, ()), True), (_UPPER.get(kind, ()), False)):
            if words and _tighter(_edge(one, words, lower=lower), _edge(by, words, lower=lower), lower=lower):
                told.add(_shown(by, words))
        for word in _EXACT.get(kind, ()):
            theirs = by.get(word)
            if theirs and theirs != one.get(word) and not _divides(word, theirs, one.get(word)):
                told.add(f"{word} is {theirs}")
    yield from sorted(told)


def _edge(schema: Mapping[str, Any], words: tuple[str, ...], *, lower: bool) -> tuple[float, bool] | None:
    """The bound that counts, and whether it is itself outside; none where nothing bounds."""
    edges = [
        (schema[word], word.startswith("exclusive"))
        for word in words
        if _is_number(schema.get(word)) and not (word in _FROM_ZERO and schema[word] <= 0)
    ]
    if not edges:
        return None
    pick: Callable[..., tuple[float, bool]] = max if lower else min
    return pick(edges, key=lambda edge: (edge[0], edge[1] if lower else not edge[1]))


def _tighter(ours: tuple[float, bool] | None, theirs: tuple[float, bool] | None, *, lower: bool) -> bool:
    if theirs is None or ours is None:
        return theirs is not None
    if ours[0] == theirs[0]:
        return theirs[1] and not ours[1]
    return theirs[0] > ours[0] if lower else theirs[0] < ours[0]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _divides(word: str, theirs: Any, ours: Any) -> bool:
    return (
        word == "multipleOf"
        and isinstance(theirs, int)
        and isinstance(ours, int)
        and theirs != 0
        and ours % theirs == 0
    )


def _shown(schema: Mapping[str, Any], words: tuple[str, ...]) -> str:
    return " and ".join(f"{word} is {schema[word]}" for word in words if word in schema)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: ``1`` and ``1.0`` are, ``1`` and ``true`` are not."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def takes(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a schema without values of its own takes a listed value; the content of arrays and objects counts not."""
    kind = schema.get("type")
    kinds = _kinds(value)
    if isinstance(kind, str) and kind not in kinds:
        return False
    match value:
        case bool() | None:
            return True
        case int() | float():
            return _within(value, schema, ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))
        case str():
            return _within(len(value), schema, ("minLength",), ("maxLength",)) and "pattern" not in schema
        case _:
            return True


def _within(number: float, schema: Mapping[str, Any], low: tuple[str, ...], high: tuple[str, ...]) -> bool:
    below = _edge(schema, low, lower=True)
    above = _edge(schema, high, lower=False)
    if below is not None and (number < below[0] or (below[1] and number == below[0])):
        return False
    return above is None or not (number > above[0] or (above[1] and number == above[0]))


def _kinds(value: Any) -> tuple[str, ...]:
    match value:
        case None:
            return ("null",)
        case bool():
            return ("boolean",)
        case int():
            return ("integer", "number")
        case float():
            return ("integer", "number") if value.is_integer() else ("number",)
        case str():
            return ("string",)
        case list():
            return ("array",)
        case _:
            return ("object",)

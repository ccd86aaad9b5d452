"""Arguments without what must not be written down, by the tool's schema and by names that speak for themselves.

What counts as secret: a property whose schema says `"writeOnly": true`, `"x-secret": true` or `"format": "password"`,
wherever it stands (nested, in arrays, behind `$ref` and the combining keywords), and any key with a word such as
password, token or secret in its name, in the schema or not. What goes into a secret is secret as a whole.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final
from urllib.parse import unquote

HIDDEN: Final = "***"
"""Stands where a secret stood."""

MOST_TEXT: Final = 1024
"""Characters kept of one text."""
MOST_VALUES: Final = 1000
"""Values kept of one call's arguments."""
DEEPEST: Final = 32

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRETS: Final = frozenset(
    {
        "apikey",
        "authorization",
        "bearer",
        "cookie",
        "credential",
        "credentials",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "pwd",
        "secret",
        "secrets",
        "token",
        "tokens",
    }
)
_KEYS: Final = frozenset({"access", "api", "auth", "encryption", "master", "private", "session", "shared", "signing"})
_SAME_PLACE: Final = ("allOf", "anyOf", "oneOf", "if", "then", "else")
_ITEMS: Final = ("items", "prefixItems", "contains", "unevaluatedItems")
_REST: Final = ("additionalProperties", "unevaluatedProperties")


@lru_cache(maxsize=1024)
def secret_name(name: str) -> bool:
    """Whether a key's name says that its value is a secret: `api_key`, `accessToken`, `X-Secret`.

    It rather hides a `max_tokens` too much than a token too little.
    """
    if len(name) > MOST_TEXT:
        return True  # nobody names an argument so; it is not looked through
    words = [word.lower() for word in _WORD.findall(name)]
    if not _SECRETS.isdisjoint(words):
        return True
    return any(second in {"key", "keys"} and first in _KEYS for first, second in pairwise(words))


class _Shape:
    """What a schema says of one place: whether it is secret, and of the places below it.

    Schemas may contain themselves, so that a shape may be below itself.
    """

    __slots__ = ("also", "items", "properties", "rest", "secret", "together")

    def __init__(self, *, secret: bool) -> None:
        self.secret = secret
        self.properties: dict[str, _Shape] = {}
        self.items: list[_Shape] = []
        self.rest: list[_Shape] = []
        self.also: list[_Shape] = []
        self.together: tuple[_Shape, ...] = ()


class Redaction:
    """The redaction of one tool's arguments; made once, from its input schema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        reader = _Reader(schema)
        root = reader.shape(schema)
        # Most schemas hold no secret: then names alone are looked at.
        self._shapes: tuple[_Shape, ...] = root.together if reader.finish() else ()

    def __call__(self, arguments: Mapping[str, Any]) -> Any:
        """A copy without secrets, cut at the caps; what was cut says how much there was."""
        return _Walk().value(arguments, self._shapes, 0)


class _Reader:
    """Reads one schema."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._known: dict[int, _Shape] = {}  # by the identity of the schema, which lives as long as the root

    def shape(self, schema: Any) -> _Shape:
        """The shape of a schema, or of what stands in its place: `true` and nonsense say nothing."""
        known = self._known.get(id(schema))
        if known is not None:
            return known
        said = schema if isinstance(schema, Mapping) else {}
        secret = said.get("writeOnly") is True or said.get("x-secret") is True or said.get("format") == "password"
        shape = _Shape(secret=secret)
        if said:
            self._known[id(schema)] = shape
        shape.properties = {name: self.shape(below) for name, below in _named(said, ("properties",))}
        shape.items = [self.shape(below) for below in _listed(said, _ITEMS)]
        shape.rest = [self.shape(below) for below in _listed(said, _REST)]
        shape.rest += [self.shape(below) for _, below in _named(said, ("patternProperties",))]
        shape.also = [self.shape(below) for below in self._parts(said)]
        return shape

    def finish(self) -> bool:
        """Know of each shape what else describes the same place; whether any of them is secret."""
        for shape in self._known.values():
            shape.together = _reached(shape)
        return any(shape.secret for shape in self._known.values())

    def _parts(self, schema: Mapping[str, Any]) -> Iterator[Any]:
        """The schemas that say something of the same place."""
        yield from _listed(schema, _SAME_PLACE)
        for _, below in _named(schema, ("dependentSchemas",)):
            yield below
        reference = schema.get("$ref", schema.get("$dynamicRef"))
        if isinstance(reference, str) and reference.startswith("#"):
            yield self._found(reference[1:])

    def _found(self, pointer: str) -> Any:
        """What a JSON pointer leads to, inside the document; None where there is nothing."""
        place: Any = self._root
        for step in pointer.split("/")[1:]:
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            match place:
                case Mapping():
                    place = place.get(key)
                case list() if key.isdigit() and int(key) < len(place):
                    place = place[int(key)]
                case _:
                    return None
        return place


def _reached(shape: _Shape) -> tuple[_Shape, ...]:
    found, waiting = [shape], [*shape.also]
    while waiting:
        other = waiting.pop()
        if not any(other is one for one in found):
            found.append(other)
            waiting += other.also
    return tuple(found)


def _named(schema: Mapping[str, Any], keys: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for key in keys:
        below = schema.get(key)
        if isinstance(below, Mapping):
            yield from below.items()


def _listed(schema: Mapping[str, Any], keys: tuple[str, ...]) -> Iterator[Any]:
    for key in keys:
        below = schema.get(key)
        if isinstance(below, list):
            yield from below
        elif isinstance(below, Mapping):
            yield below


class _Walk:
    """One redaction; knows how much it has kept."""

    def __init__(self) -> None:
        self._left = MOST_VALUES

    def value(self, value: Any, shapes: Sequence[_Shape], depth: int) -> Any:
        """A value that is not secret itself."""
        self._left -= 1
        match value:
            case str():
                return value if len(value) <= MOST_TEXT else f"{value[:MOST_TEXT]}… ({len(value)} characters)"
            case Mapping():
                if depth >= DEEPEST:
                    return f"… ({len(value)} members)"
                return dict(self._members(value, shapes, depth))
            case list() | tuple():
                if depth >= DEEPEST:
                    return f"… ({len(value)} items)"
                return list(self._items(value, shapes, depth))
            case _:
                return value

    def _members(self, value: Mapping[str, Any], shapes: Sequence[_Shape], depth: int) -> Iterator[tuple[str, Any]]:
        for name in sorted(value):
            if self._left <= 0:
                yield "…", f"{len(value)} members"
                return
            below = [found for shape in shapes for found in _below(shape, name)]
            if secret_name(name) or any(shape.secret for shape in below):
                yield name, HIDDEN
            else:
                yield name, self.value(value[name], below, depth + 1)

    def _items(self, value: Sequence[Any], shapes: Sequence[_Shape], depth: int) -> Iterator[Any]:
        below = [found for shape in shapes for items in shape.items for found in items.together] if shapes else []
        secret = any(shape.secret for shape in below)
        for item in value:
            if self._left <= 0:
                yield f"… ({len(value)} items)"
                return
            yield HIDDEN if secret else self.value(item, below, depth + 1)


def _below(shape: _Shape, name: str) -> Iterator[_Shape]:
    """What a shape says of its member of that name."""
    found = shape.properties.get(name)
    for one in (*(() if found is None else (found,)), *shape.rest):
        yield from one.together

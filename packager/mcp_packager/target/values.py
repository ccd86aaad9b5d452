"""The values a resource's fields hold, and how they are written as JSON.

A field holds plain JSON data, or one of two things that only the world knows: a :class:`Ref` to a field of
another resource, or a :class:`Generated` value that the world makes once and keeps.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

Value: TypeAlias = Any
"""JSON data (``None``, bool, int, float, str, sequence, mapping with string keys) with Ref and Generated as leaves."""


class Key(NamedTuple):
    """What names a resource within one deployment: its kind and its name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Ref:
    """Stands for ``field`` of another resource, known once that resource is in the world."""

    resource: Key
    field: str

    def __str__(self) -> str:
        return f"{self.resource}.{self.field}"


@dataclass(frozen=True, slots=True)
class Generated:
    """Stands for a value the world makes when the resource is created and keeps from then on.

    ``what`` tells the world what to make, for example ``port`` or ``version``.
    """

    what: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Stands in a plan for a value that is known only after apply; ``why`` names where it comes from."""

    why: str


def resolve(value: Value, leaf: Callable[[Ref | Generated], Value]) -> Value:
    """The value with every Ref and Generated replaced by what ``leaf`` answers for it."""
    match value:
        case Ref() | Generated():
            return leaf(value)
        case Mapping():
            return {key: resolve(item, leaf) for key, item in value.items()}
        case list() | tuple():
            return [resolve(item, leaf) for item in value]
        case _:
            return value


def refs(value: Value) -> tuple[Ref, ...]:
    """Every Ref inside the value, in order."""
    match value:
        case Ref():
            return (value,)
        case Mapping():
            return tuple(ref for item in value.values() for ref in refs(item))
        case list() | tuple():
            return tuple(ref for item in value for ref in refs(item))
        case _:
            return ()


def holds_unknown(value: Value) -> bool:
    """Whether any part of the value is known only after apply."""
    match value:
        case Unknown():
            return True
        case Mapping():
            return any(holds_unknown(item) for item in value.values())
        case list() | tuple():
            return any(holds_unknown(item) for item in value)
        case _:
            return False


def encode(value: Value) -> Value:
    """The value as plain JSON data. The ``$`` that begins a key of the author's is doubled: nothing collides."""
    match value:
        case Ref(resource, field):
            return {"$ref": [resource.kind, resource.name, field]}
        case Generated(what):
            return {"$generated": what}
        case Unknown(why):
            return {"$unknown": why}
        case Mapping():
            return {f"${key}" if key.startswith("$") else key: encode(item) for key, item in value.items()}
        case list() | tuple():
            return [encode(item) for item in value]
        case _:
            return value


def decode(value: Value) -> Value:
    """The inverse of :func:`encode`."""
    match value:
        case {"$ref": [str(kind), str(name), str(field)]}:
            return Ref(Key(kind, name), field)
        case {"$generated": str(what)}:
            return Generated(what)
        case {"$unknown": str(why)}:
            return Unknown(why)
        case Mapping():
            return {key[1:] if key.startswith("$$") else key: decode(item) for key, item in value.items()}
        case list() | tuple():
            return [decode(item) for item in value]
        case _:
            return value


def canonical(value: Value) -> bytes:
    """The one JSON spelling of a value: sorted keys, no spaces, UTF-8."""
    text = json.dumps(encode(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def digest(value: Value) -> str:
    """The SHA-256 of the canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()

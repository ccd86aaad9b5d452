"""JSON with comments and trailing commas, parsed with positions so that it can be edited in place.

What editors call JSONC: ``//`` and ``/* */`` comments and one trailing comma in objects and arrays
(https://jsonc.org). Values themselves are plain JSON.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

DEEPEST = 200
"""Levels of nesting that are read. Settings have a handful."""

_SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|true\b|false\b|null\b")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_BLANK = re.compile(r"[ \t\r\n]+")


class JsoncError(ValueError):
    """Not JSONC. ``position`` is the character's index, from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


@dataclass(frozen=True, slots=True)
class Item:
    """An element of an array or a member of an object, with the comma that follows it (its index, or ``None``)."""

    key: str | None
    start: int
    node: Node
    comma: int | None


@dataclass(frozen=True, slots=True)
class Node:
    """A value: its span in the text (``end`` is exclusive), what it says, and its parts if it is a container."""

    start: int
    end: int
    value: Any
    items: tuple[Item, ...] | None = None

    def member(self, key: str) -> Item | None:
        """The member under ``key``: the last one, which is the one that readers take."""
        found = [item for item in self.items or () if item.key == key]
        return found[-1] if found else None


def parse(text: str) -> Node:
    """The one value in ``text``. Raises :class:`JsoncError`."""
    start = _skip(text, 0)
    node = _value(text, start, 0)
    rest = _skip(text, node.end)
    if rest != len(text):
        raise JsoncError("something follows the end of the document", rest)
    return node


def place(text: str, position: int) -> tuple[int, int]:
    """Line and column, both from 1, of a character's index."""
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def _value(text: str, start: int, depth: int) -> Node:
    if depth > DEEPEST:
        raise JsoncError(f"it is nested more than {DEEPEST} levels deep", start)
    if start >= len(text):
        raise JsoncError("the text ends where a value should be", start)
    match text[start]:
        case "{":
            return _container(text, start, "}", depth)
        case "[":
            return _container(text, start, "]", depth)
        case '"':
            return _string(text, start)
    if scalar := _SCALAR.match(text, start):
        return Node(start, scalar.end(), json.loads(scalar.group()))
    raise JsoncError("a value should be here", start)


def _string(text: str, start: int) -> Node:
    found = _STRING.match(text, start)
    if found is None:
        raise JsoncError("this string does not end on its line", start)
    try:
        return Node(start, found.end(), json.loads(found.group()))
    except ValueError:
        raise JsoncError("this string has a wrong escape", start) from None


def _container(text: str, start: int, closer: str, depth: int) -> Node:
    items: list[Item] = []
    position = _skip(text, start + 1)
    while text[position : position + 1] != closer:
        if items and items[-1].comma is None:
            raise JsoncError(f"a comma or `{closer}` should be here", position)
        item = _item(text, position, depth, keyed=closer == "}")
        items.append(item)
        position = _skip(text, item.node.end if item.comma is None else item.comma + 1)
    value: Any = {item.key: item.node.value for item in items} if closer == "}" else [item.node.value for item in items]
    return Node(start, position + 1, value, tuple(items))


def _item(text: str, start: int, depth: int, *, keyed: bool) -> Item:
    key: str | None = None
    position = start
    if keyed:
        if text[start : start + 1] != '"':
            raise JsoncError("a name in double quotes or `}` should be here", start)
        name = _string(text, start)
        key = name.value
        position = _skip(text, name.end)
        if text[position : position + 1] != ":":
            raise JsoncError("a colon should be here", position)
        position = _skip(text, position + 1)
    node = _value(text, position, depth + 1)
    after = _skip(text, node.end)
    return Item(key, start, node, after if text[after : after + 1] == "," else None)


def _skip(text: str, position: int) -> int:
    """Past blanks and comments."""
    while position < len(text):
        if blank := _BLANK.match(text, position):
            position = blank.end()
        elif text.startswith("//", position):
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
        elif text.startswith("/*", position):
            end = text.find("*/", position + 2)
            if end < 0:
                raise JsoncError("this comment does not end", position)
            position = end + 2
        else:
            break
    return position

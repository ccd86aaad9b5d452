"""Edits of JSONC text that leave every character they do not mean as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from mcp_packager.client_config.jsonc import Item, Node, parse

_INDENT = re.compile(r"[ \t]*")


class NotAnObjectError(ValueError):
    """A key on the way holds something else than an object. ``position`` is the index of that value."""

    def __init__(self, path: Sequence[str], position: int) -> None:
        super().__init__(f"`{'.'.join(path)}` is not an object" if path else "the document is not an object")
        self.position = position


def put(text: str, path: Sequence[str], value: object) -> str:
    """Set the member at ``path``, making the objects on the way. Equal values change nothing."""
    node, missing = _reach(text, path)
    if not missing:
        return text if _same(node.value, value) else _replace(text, node, value)
    name, *deeper = missing
    for key in reversed(deeper):
        value = {key: value}
    return _insert(text, node, f"{json.dumps(name, ensure_ascii=False)}: ", value)


def append(text: str, path: Sequence[str], value: object) -> str:
    """Add ``value`` to the array at ``path``, which is made where it is missing."""
    node, missing = _reach(text, path)
    if missing:
        return put(text, path, [value])
    return _insert(text, node, "", value)


def drop(text: str, path: Sequence[str]) -> str:
    """Take the member at ``path`` away, with its comma. A missing one changes nothing."""
    owner, missing = _reach(text, path[:-1])
    item = None if missing else owner.member(path[-1])
    if item is None or owner.items is None:
        return text
    index = owner.items.index(item)
    end = item.node.end if item.comma is None else item.comma + 1
    start = len(text[: item.start].rstrip(" \t\r\n"))
    tail = text[end:]
    # Behind a comment the line goes only if nothing else is on it, or the comment would swallow what follows.
    alone = tail.lstrip(" \t").startswith(("\n", "\r\n"))
    head = text[:start] if alone or text[start - 1] in ",{" else text[: item.start]
    if item.comma is None and index > 0:
        comma = owner.items[index - 1].comma
        if comma is not None:
            head = head[:comma] + head[comma + 1 :]
    return head + tail


def _reach(text: str, path: Sequence[str]) -> tuple[Node, list[str]]:
    """The deepest node on ``path`` that is there, and the keys that are not."""
    node = parse(text)
    for depth, key in enumerate(path):
        if not isinstance(node.value, dict):
            raise NotAnObjectError(path[:depth], node.start)
        item = node.member(key)
        if item is None:
            return node, list(path[depth:])
        node = item.node
    return node, []


def _same(old: object, new: object) -> bool:
    """Equal as JSON: ``True`` is not ``1``."""
    return json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)


def _replace(text: str, node: Node, value: object) -> str:
    return text[: node.start] + _dump(text, value, _line_indent(text, node.start)) + text[node.end :]


def _insert(text: str, owner: Node, label: str, value: object) -> str:
    """Add an item at the end of a container, in the style of the items before it."""
    close = owner.end - 1
    last = owner.items[-1] if owner.items else None
    if last is not None and "\n" not in text[owner.start : close]:
        tail = text[close:] if last.comma is None else "," + text[close:]
        return f"{text[: last.node.end]}, {label}{json.dumps(value, ensure_ascii=False)}{tail}"
    outer = _line_indent(text, owner.start)
    inner = _item_indent(text, last) if last is not None else outer + _unit(text)
    line = _newline(text)
    filled = len(text[: max(close, 0)].rstrip(" \t\r\n"))
    before = text[:filled]
    trailing = ""
    if last is not None:
        if last.comma is None:
            before = text[: last.node.end] + "," + text[last.node.end : filled]
        else:
            trailing = ","
    return f"{before}{line}{inner}{label}{_dump(text, value, inner)}{trailing}{line}{outer}{text[close:]}"


def _dump(text: str, value: object, indent: str) -> str:
    lines = json.dumps(value, ensure_ascii=False, indent=_unit(text)).split("\n")
    return f"{_newline(text)}{indent}".join(lines)


def _item_indent(text: str, item: Item) -> str:
    return _line_indent(text, item.start)


def _line_indent(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    found = _INDENT.match(text, start)
    return found.group() if found else ""


def _unit(text: str) -> str:
    """One level of indentation, as the document has it; two spaces where it does not say."""
    found = re.search(r"\n([ \t]+)\S", text)
    return found.group(1) if found else "  "


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"

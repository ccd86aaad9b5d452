"""JSON patches, RFC 6902, with the pointers of RFC 6901."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any


class PatchError(Exception):
    """A patch that does not fit what it is to change. ``fix`` says what to do."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.fix = fix


def applied(document: Any, operations: Iterable[Mapping[str, Any]]) -> Any:
    """The document with every operation carried out, in order; the one that is given may be changed.

    Raises:
        PatchError: an operation is none, finds nothing, or is a test that fails.
    """
    for number, operation in enumerate(operations):
        try:
            document = _carried_out(document, operation)
        except PatchError as error:
            raise PatchError(f"operation {number}: {error}", error.fix) from None
    return document


def _carried_out(document: Any, operation: Mapping[str, Any]) -> Any:
    path = _pointer(operation, "path")
    match operation.get("op"):
        case "add":
            return _add(document, path, copy.deepcopy(_value(operation)))
        case "remove":
            return _remove(document, path)[0]
        case "replace":
            _get(document, path)
            removed = _remove(document, path)[0] if path else None
            return _add(removed, path, copy.deepcopy(_value(operation)))
        case "move":
            source = _pointer(operation, "from")
            if path[: len(source)] == source and path != source:
                raise PatchError("moves something into itself", "choose another path")
            rest, moved = _remove(document, source)
            return _add(rest, path, moved)
        case "copy":
            return _add(document, path, copy.deepcopy(_get(document, _pointer(operation, "from"))))
        case "test":
            found, wanted = _get(document, path), _value(operation)
            if not _same(found, wanted):
                raise PatchError(
                    f"the test of {operation['path']} fails: it is not what the patch was written for",
                    "look at what mcp-pack build writes without it, and mend the patch",
                )
            return document
        case other:
            raise PatchError(f"{other!r} is no operation", "use add, remove, replace, move, copy or test")


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise PatchError("has no value", "add value")
    return operation["value"]


def _pointer(operation: Mapping[str, Any], name: str) -> tuple[str, ...]:
    text = operation.get(name)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise PatchError(f"{name} is no pointer", "write it as /spec/template/spec/containers/0")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])


def _get(document: Any, path: tuple[str, ...]) -> Any:
    for depth, part in enumerate(path):
        match document:
            case dict() if part in document:
                document = document[part]
            case list() if _is_index(part) and int(part) < len(document):
                document = document[int(part)]
            case _:
                raise _nothing(path[: depth + 1])
    return document


def _add(document: Any, path: tuple[str, ...], value: Any) -> Any:
    if not path:
        return value
    match _get(document, path[:-1]):
        case dict() as holder:
            holder[path[-1]] = value
        case list() as holder if path[-1] == "-":
            holder.append(value)
        case list() as holder if _is_index(path[-1]) and int(path[-1]) <= len(holder):
            holder.insert(int(path[-1]), value)
        case _:
            raise _nothing(path)
    return document


def _remove(document: Any, path: tuple[str, ...]) -> tuple[Any, Any]:
    if not path:
        raise PatchError("takes the whole object away", "patch what is inside the object")
    found = _get(document, path)
    holder = _get(document, path[:-1])
    del holder[int(path[-1]) if isinstance(holder, list) else path[-1]]
    return document, found


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdigit() and (part == "0" or not part.startswith("0"))


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON, where true is not 1."""
    match one, other:
        case (dict(), dict()):
            return one.keys() == other.keys() and all(_same(item, other[key]) for key, item in one.items())
        case (list(), list() | tuple()):
            return len(one) == len(other) and all(map(_same, one, other))
        case _:
            return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _nothing(path: tuple[str, ...]) -> PatchError:
    text = "/".join(("", *(part.replace("~", "~0").replace("/", "~1") for part in path)))
    return PatchError(f"there is no {text}", "look at what mcp-pack build writes without it, and mend the path")

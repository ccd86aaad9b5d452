"""From pydantic's errors to problems a person can mend: what was expected, what was found, what to type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from mcp_packager.manifest import shape
from mcp_packager.manifest.shape import ABSENT, step

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem with a key, before its place in the file is known. ``on_key``: the key is wrong, not its value."""

    path: Path
    what: str
    fix: str
    expected: str | None = None
    found: str | None = None
    on_key: bool = False


_NATURE: Final = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "an array",
    "list_type": "an array",
    "dict_type": "a table",
    "mapping_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
_LONGEST: Final = 600
_QUIET: Final = ("env", "arguments")
"""Sections whose values are never repeated: somebody may have written a secret there."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that ``word`` was probably meant to be."""
    import difflib  # only a wrong file needs it

    found = difflib.get_close_matches(word[:100], list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def from_pydantic(errors: Sequence[ErrorDetails], data: Any, model: type[BaseModel], head: Path = ()) -> list[Finding]:
    """Findings of a failed validation of ``data`` by ``model``; ``head`` is put before each path."""
    return [_finding(error, data, model, head) for error in errors]


def _finding(error: ErrorDetails, data: Any, model: type[BaseModel], head: Path) -> Finding:
    path = _in_data(error["loc"], data, missing=error["type"] in {"missing", "union_tag_not_found"})
    context: Mapping[str, Any] = error.get("ctx", {})
    value = error["input"]
    key = str(path[-1]) if path else "the file"
    match error["type"]:
        case "missing":
            return Finding(
                (*head, *path), f"{key} is missing", f"Add {key}", expected=_description(model, path), on_key=True
            )
        case "extra_forbidden":
            return _unknown((*head, *path), key, _keys(model, path[:-1], data))
        case "union_tag_not_found" | "union_tag_invalid":
            tags = str(context.get("expected_tags", "")).replace("'", '"')
            return Finding(
                (*head, *path),
                f"{key} needs a mode" if error["type"] == "union_tag_not_found" else f"{key} has no such mode",
                f"Set mode to one of {tags or 'the known modes'}",
                expected=f"mode: one of {tags}" if tags else "a known mode",
            )
        case _ if "[key]" in error["loc"]:
            path = _in_data(tuple(part for part in error["loc"] if part != "[key]"), data, missing=False)
            expected, fix = _judged(error, context)
            return Finding((*head, *path), f"{path[-1]!r} cannot be a name here", fix, expected=expected, on_key=True)
        case _:
            expected, fix = _judged(error, context)
            what = error["msg"] if "expected" in context and not _is_builtin(error) else "has the wrong value"
            return Finding(
                (*head, *path), f"{key} {what}", fix, expected=expected, found=None if _quiet(path) else shown(value)
            )


def _is_builtin(error: ErrorDetails) -> bool:
    return error["type"] in {"literal_error", "enum"}


def _judged(error: ErrorDetails, context: Mapping[str, Any]) -> tuple[str, str]:
    """What was expected, and the fix."""
    kind = error["type"]
    match kind:
        case _ if kind in _NATURE:
            expected = _NATURE[kind]
        case "literal_error":
            expected = "one of " + str(context["expected"]).replace("'", '"')
        case "string_pattern_mismatch":
            expected = _grammar(str(context["pattern"]))
        case "string_too_long":
            expected = f"at most {context['max_length']} characters"
        case "string_too_short":
            expected = "text that is not empty"
        case "too_short":
            expected = f"at least {context['min_length']} of them"
        case "greater_than_equal":
            expected = f"a number of at least {context['ge']}"
        case "less_than_equal":
            expected = f"a number of at most {context['le']}"
        case _:
            expected = str(context.get("expected", error["msg"][:1].lower() + error["msg"][1:]))
    return expected, str(context.get("fix", f"Write {expected}" if kind != "string_too_long" else "Shorten it"))


def _grammar(pattern: str) -> str:
    """A pattern of the grammar, in words."""
    from mcp_packager.manifest import permission, pin, words  # they import pydantic's types, this may be first

    return {**words.IN_WORDS, **permission.IN_WORDS, **pin.IN_WORDS}.get(pattern, f"text that matches {pattern}")


def _unknown(path: Path, key: str, known: Sequence[str]) -> Finding:
    guess = nearest(key, known)
    return Finding(
        path,
        f"unknown key {key!r}",
        f"Did you mean {guess}?" if guess else "Remove it",
        expected="one of " + ", ".join(sorted(known)) if known else None,
        on_key=True,
    )


def unknown(path: Path, known: Sequence[str]) -> Finding:
    """A key that nothing knows."""
    return _unknown(path, str(path[-1]), known)


def shown(value: Any) -> str | None:
    """A value of the file for a person: TOML-like, short; tables and arrays by their kind."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            known = re.sub(r"://[^/\s]*@", "://…@", value)  # whoever wrote a password there need not see it again
            text = known if len(known) <= 60 else f"{known[:57]}…"
            return f'"{text}"'
        case int() if value.bit_length() > 128:
            return "a very large integer"
        case int() | float():
            return str(value)
        case dict() | BaseModel():
            return "a table"
        case list() | tuple():
            return "an array"
        case None:
            return None
        case _:
            return str(value)[:60]


def printable(text: str) -> str:
    """A text that holds pieces of the file, fit to be shown: no control characters, not endless."""
    shortened = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in shortened)


def _quiet(path: Path) -> bool:
    return any(part in _QUIET for part in path[:-1])


def _in_data(loc: tuple[int | str, ...], data: Any, *, missing: bool) -> Path:
    """A location without pydantic's own marks (union members, tags): only what stands in the file."""
    path: list[str | int] = []
    here = data
    for number, part in enumerate(loc):
        below = step(here, part)
        if below is not ABSENT:
            here = below
        elif not (missing and number == len(loc) - 1):
            continue
        path.append(part)
    return tuple(path)


def _keys(model: type[BaseModel], path: Path, data: Any) -> list[str]:
    there = shape.model_at(model, path, data)
    return [] if there is None else list(shape.fields(there))


def _description(model: type[BaseModel], path: Path) -> str | None:
    info = shape.field_at(model, path)
    return info.description if info else None

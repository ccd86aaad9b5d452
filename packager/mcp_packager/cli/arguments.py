"""A tool's arguments as typed on the command line or piped in."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mcp_packager.errors import Place, Problem, UsageError

FIX = (
    "write `name=text`, `name:=JSON` (for example `limit:=5`), or pass a JSON object with `--input -` or `--input FILE`"
)


def from_pairs(pairs: Sequence[str]) -> dict[str, Any]:
    """``name=value`` is text, ``name:=value`` is JSON. Every wrong pair is reported at once.

    Text stays text here: whether ``5`` is meant as a number only the tool's schema knows.
    """
    arguments: dict[str, Any] = {}
    problems: list[Problem] = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        exact = name.endswith(":")
        name = name.removesuffix(":")
        if not equals or not name:
            problems.append(Problem(f"`{pair}` is no argument", FIX))
            continue
        if name in arguments:
            problems.append(Problem(f"`{name}` is given twice", "give each argument once"))
            continue
        try:
            arguments[name] = json.loads(value) if exact else value
        except ValueError as error:
            problems.append(Problem(f"the value of `{name}:=` is not JSON: {error}", FIX))
    if problems:
        raise UsageError(problems)
    return arguments


def from_input(source: str) -> dict[str, Any]:
    """A JSON object from a file, or from standard input for ``-``."""
    place = Place(file="standard input" if source == "-" else source)
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(
            Problem(f"cannot be read: {why}", "name a readable file with a JSON object in it", place)
        ) from None
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        where = Place(file=place.file, line=error.lineno, column=error.colno)
        raise UsageError(
            Problem(f"is not JSON: {error.msg}", "pass one JSON object, the tool's arguments", where)
        ) from None
    if not isinstance(content, dict):
        raise UsageError(
            Problem(
                "is not a JSON object",
                "pass the tool's arguments as one object, `{…}`",
                place,
                found=type(content).__name__,
            )
        )
    return content

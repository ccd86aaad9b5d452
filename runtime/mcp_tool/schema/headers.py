"""`x-mcp-header`: arguments that a client repeats as HTTP headers (MCP 2026-07-28, streamable HTTP, custom headers)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

KEY = "x-mcp-header"

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TYPES = ("string", "integer", "boolean")
_DATA = ("default", "examples", "const", "enum")
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")


def invalid(schema: Mapping[str, Any]) -> str | None:
    """Why a schema's header annotations cannot be used; None where they can, or where there are none."""
    seen: dict[str, str] = {}
    for path, found in _positions(schema, ()):
        if KEY not in found:
            continue
        if not path:
            return f"{KEY} stands where no plain property is"
        where, header = ".".join(path), found[KEY]
        if not isinstance(header, str) or not _TOKEN.fullmatch(header):
            return f"{KEY} of property {where!r} is no header name"
        if found.get("type") not in _TYPES:
            return f"{KEY} of property {where!r} needs text, an integer or a boolean"
        if header.lower() in seen:
            return f"{KEY} {header!r} stands at {seen[header.lower()]!r} and {where!r}"
        seen[header.lower()] = where
    return None


def _positions(schema: Any, path: tuple[str, ...] | None) -> Iterator[tuple[tuple[str, ...] | None, Mapping[str, Any]]]:
    """Every schema inside a schema; its path where only `properties` lead to it, else None."""
    if isinstance(schema, list):
        for item in schema:
            yield from _positions(item, None)
    if not isinstance(schema, Mapping):
        return
    yield path, schema
    for key, value in schema.items():
        if key in _DATA:
            continue
        if key in _MAPS and isinstance(value, Mapping):
            for name, inner in value.items():
                yield from _positions(inner, (*path, name) if key == "properties" and path is not None else None)
        else:
            yield from _positions(value, None)

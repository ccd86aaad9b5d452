"""Header values of the modern era: how a value travels in a header, and which arguments are told in one too.

Source: the 2026-07-28 specification, ``basic/transports/streamable-http``.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_PLAIN = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?\Z")


def header_value(value: str) -> str:
    """The value as a header can hold it: itself, or ``=?base64?…?=`` where it would not survive."""
    if _PLAIN.match(value) and not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def parameter_headers(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, str]:
    """``Mcp-Param-*`` headers for the arguments whose property carries ``x-mcp-header`` in the tool's schema."""
    headers: dict[str, str] = {}
    for path, name in _marked(schema, ()):
        value: Any = arguments
        for part in path:
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, (str, int, float)):
            text = value if isinstance(value, str) else json.dumps(value)
            headers[f"Mcp-Param-{name}"] = header_value(text)
    return headers


def _marked(schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return
    for name, inner in properties.items():
        if isinstance(inner, Mapping):
            mark = inner.get("x-mcp-header")
            if isinstance(mark, str):
                yield (*path, name), mark
            yield from _marked(inner, (*path, name))

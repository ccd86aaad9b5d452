"""TOML from data, for tests that make many files: inline tables and nothing pretty."""

from __future__ import annotations

import json
from datetime import date, datetime, time
from typing import Any


def toml(data: dict[str, Any]) -> str:
    """A document; every top-level key on a line of its own."""
    return "".join(f"{_text(key)} = {_value(value)}\n" for key, value in data.items())


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
        case dict():
            return "{" + ", ".join(f"{_text(key)} = {_value(below)}" for key, below in value.items()) + "}"
        case list():
            return "[" + ", ".join(_value(below) for below in value) + "]"
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return repr(value)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

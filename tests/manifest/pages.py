"""The tables of ``docs/manifest.md``, from the models: one row a key, with default and meaning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, WithJsonSchema
from pydantic.fields import FieldInfo

from mcp_packager.manifest import shape, units
from mcp_packager.manifest.document import Document


def rows(model: type[BaseModel] = Document) -> Iterator[tuple[str, str]]:
    """Each key, dotted, and its row."""
    told: set[str] = set()
    for key, info in shape.keys(model):
        if shape.models_of(info) and not _is_list(info) and key not in told and not _has_own_default(info):
            continue
        if shape.by_name(info) and key in {"secrets", "services", "target"}:
            continue
        if key in told:
            continue
        told.add(key)
        yield key, f"| `{key}` | {default_of(info)} | {info.description} |"


def _is_list(info: FieldInfo) -> bool:
    return "tuple" in str(info.annotation)


def _has_own_default(info: FieldInfo) -> bool:
    return info.default is None


def default_of(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value: Any = info.default
    if value is None:
        return "unset"
    if isinstance(value, (dict, BaseModel)):
        return "nothing"
    schemas = [mark.json_schema for mark in info.metadata if isinstance(mark, WithJsonSchema)]
    forms = json.dumps(schemas)
    if json.dumps(units.DURATION) in forms:
        return f"`{value:g}s`"
    if json.dumps(units.SIZE) in forms:
        return f"`{value >> 20}Mi`" if value % (1 << 30) else f"`{value >> 30}Gi`"
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"

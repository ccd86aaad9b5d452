"""``mcp-pack schema`` and ``mcp-pack targets``: what a manifest may hold, and what each target does with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_packager import registry
from mcp_packager.manifest.schema import json_schema, portable_keys


def schema() -> Mapping[str, Any]:
    """The JSON Schema of ``mcp-tool.toml`` with the options of every installed target."""
    return json_schema(registry.options())


def support() -> Mapping[str, Mapping[str, str]]:
    """By portable key: what each target does with it, as ``honours``, ``maps: …`` or ``refuses: …``."""
    rows = registry.table(registry.load_all(), portable_keys())
    return {
        row.key: {
            name: f"{cell.level.value}: {cell.word}" if cell.word else cell.level.value
            for name, cell in row.targets.items()
        }
        for row in rows
    }

"""``mcp-pack schema`` and ``mcp-pack targets``: what a manifest may hold, and what each target does with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_packager import registry
from mcp_packager.manifest.schema import json_schema


def schema() -> Mapping[str, Any]:
    """The JSON Schema of ``mcp-tool.toml`` with the options of every installed target."""
    return json_schema({name: registry.load(name).about.options for name in registry.names()})


def support() -> Mapping[str, Mapping[str, str]]:
    """By portable key: what each target does with it, as ``honours``, ``maps: …`` or ``refuses: …``."""
    return registry.support_table()

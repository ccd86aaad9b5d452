"""Where mcp-pack keeps its releases and crash reports on this machine."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """``MCP_PACK_HOME``, else ``$XDG_DATA_HOME/mcp-pack``, else ``~/.local/share/mcp-pack``."""
    if chosen := os.environ.get("MCP_PACK_HOME"):
        return Path(chosen).expanduser().absolute()
    if base := os.environ.get("XDG_DATA_HOME"):
        return Path(base) / "mcp-pack"
    return Path(os.path.expanduser("~")) / ".local" / "share" / "mcp-pack"  # noqa: PTH111 - Path.home() raises without a home

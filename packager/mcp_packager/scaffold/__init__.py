"""``mcp-pack new``: a tool project from a template, or around an existing server."""

from __future__ import annotations

from mcp_packager.scaffold.create import NewRequest, Project, create

__all__ = ["NewRequest", "Project", "create"]

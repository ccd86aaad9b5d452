"""Which targets there are, and what each can do."""

from mcp_packager.registry.support import Row, refusals, table
from mcp_packager.registry.targets import GROUP, load, load_all, names, options

__all__ = ["GROUP", "Row", "load", "load_all", "names", "options", "refusals", "table"]

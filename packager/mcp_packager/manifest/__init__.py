"""The manifest, ``mcp-tool.toml``: read, checked as a whole, with one stage applied.

``load`` is the way in. A target's options model derives from :class:`Section`; a key of it that changes bundle or
image says so with ``json_schema_extra=IN_BUNDLE``, and no stage may then hold it.
"""

from __future__ import annotations

from mcp_packager.manifest.document import Manifest
from mcp_packager.manifest.load import load
from mcp_packager.manifest.section import IN_BUNDLE, Many, Section
from mcp_packager.manifest.source import FILE_NAME
from mcp_packager.manifest.stages import DEFAULT as DEFAULT_STAGE

__all__ = ["DEFAULT_STAGE", "FILE_NAME", "IN_BUNDLE", "Manifest", "Many", "Section", "load"]

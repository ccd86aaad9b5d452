"""Tool projects made on the spot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mcp_packager.interpreters import Interpreter, host_platform, running
from mcp_packager.manifest import Manifest, load
from mcp_packager.platforms import Platform

SOURCE = '''from mcp_tool import tool


@tool
def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()
'''


class Project:
    """A folder with a manifest and a module."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.write("shouting.py", SOURCE)
        self.depend([])

    def write(self, path: str, content: str | bytes) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def depend(self, dependencies: Sequence[str], more: str = "") -> None:
        """Write the manifest; ``more`` is added at the end of ``[tool]``."""
        lines = ["[tool]", 'name = "shouting"', 'version = "1.2.0"', 'entrypoint = "shouting"']
        if dependencies:
            lines.append(f"dependencies = {json.dumps(list(dependencies))}")
        lines.append(more)
        self.write("mcp-tool.toml", "\n".join(lines) + "\n")

    @property
    def manifest(self) -> Manifest:
        return load(self.folder)


def here() -> tuple[Platform, Interpreter]:
    """This machine's platform and the running interpreter."""
    return host_platform(running()), running()

"""Where the figures are taken: a copy of the example in a temporary folder, with a store and releases of its own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import environment

ROOT = Path(__file__).resolve().parents[1]
PYTHON = Path(sys.executable)
PROGRAMS = PYTHON.parent


@dataclass(frozen=True, slots=True)
class Place:
    """A scratch folder. ``project`` is a copy of ``examples/text-stats``, ``edited`` one of its source files."""

    folder: Path
    project: Path
    edited: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment of every command: the store and the releases lie in the scratch folder."""
        return environment(MCP_PACK_CACHE=str(self.folder / "store"), MCP_PACK_HOME=str(self.folder / "home"))

    def fresh(self) -> Path:
        """A new folder in the scratch folder."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def emptied(self) -> dict[str, str]:
        """The environment of a machine that has fetched nothing yet."""
        fresh = self.fresh()
        return self.env | {"MCP_PACK_CACHE": f"{fresh}/store", "UV_CACHE_DIR": f"{fresh}/uv"}

    def pack(self, *arguments: str) -> list[str | Path]:
        """An ``mcp-pack`` command about the project."""
        return [PROGRAMS / "mcp-pack", *arguments, "--project", self.project]


@contextmanager
def scratch() -> Iterator[Place]:
    """A place that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="mcp-pack-bench-"))
    try:
        project = folder / "text-stats"
        leave = shutil.ignore_patterns("dist", "__pycache__", ".venv", "mcp-tool.lock")
        shutil.copytree(ROOT / "examples" / "text-stats", project, ignore=leave)
        yield Place(folder, project, max((project / "src").rglob("*.py"), key=lambda path: path.stat().st_size))
    finally:
        for parent, _, _ in os.walk(folder):
            Path(parent).chmod(0o700)  # the store keeps its trees read-only
        shutil.rmtree(folder)

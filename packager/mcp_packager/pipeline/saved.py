"""What was saved in a project since one last looked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mcp_packager.manifest import FILE_NAME

LOOK_EVERY: Final = 0.5
"""Seconds between two looks at the project's files."""
_IGNORED: Final = frozenset({"__pycache__", "node_modules", "dist", "build"})


def saved(project: Path) -> Iterator[tuple[str, int]]:
    """Every file that could matter, with the time it was saved, in nanoseconds since the epoch."""
    waiting = [project]
    while waiting:
        folder = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in _IGNORED:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.name.endswith(".py") or entry.name in {FILE_NAME, "pyproject.toml"}:
                    yield os.path.relpath(entry.path, project), entry.stat().st_mtime_ns


def differing(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """The files that came, went or were saved, in their order."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))

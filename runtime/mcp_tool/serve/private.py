"""Secrets written as files, for values that came by environment variable; none outlives the server.

A server that ends by itself removes them, at its cut-off too. For one that is killed outright over stdio its guard
does; over HTTP nobody is left to, so that deployed servers get such secrets as files of their target's own.
"""

import os
from pathlib import Path

MARK = "MCP_TOOL_GUARD"
"""Environment variable that names what belongs to one stdio server: programs that it started, and its files."""

_FOLDERS: list[Path] = []


def write(name: str, value: str) -> Path:
    """Write a secret to a new file that only this user can read."""
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix=_prefix()))
    _FOLDERS.append(folder)
    path = folder / name
    path.touch(mode=0o600)
    path.write_text(value, encoding="utf-8")
    return path


def remove() -> None:
    """Remove what this process wrote; safe to call more than once."""
    import shutil

    while _FOLDERS:
        shutil.rmtree(_FOLDERS.pop(), ignore_errors=True)


def remove_marked() -> None:
    """Remove what the server of this guard wrote."""
    import shutil
    import tempfile

    for folder in Path(tempfile.gettempdir()).glob(f"{_prefix()}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _prefix() -> str:
    return f"mcp-tool-{os.environ.get(MARK, 'http')}-"

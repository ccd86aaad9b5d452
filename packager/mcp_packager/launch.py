"""How a bundle's code is started, the same wherever this machine starts it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def command(python: Path, *arguments: str) -> list[str]:
    """``python -S -P -m mcp_tool …``: nothing of the interpreter's own site-packages or the current folder is seen."""
    return [str(python), "-S", "-P", "-m", "mcp_tool", *arguments]


def environment(library: Path, app: Path, base: Mapping[str, str]) -> dict[str, str]:
    """``base`` without what would steer another Python, with the bundle's two import roots.

    Bytecode is never written: the library is shared, and what belongs to the bundle is in it already.
    """
    kept = {name: value for name, value in base.items() if not name.startswith("PYTHON") and name != "VIRTUAL_ENV"}
    return {
        **kept,
        "PYTHONPATH": f"{library}{os.pathsep}{app}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
    }

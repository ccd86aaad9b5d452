"""The uv that is installed with mcp-pack."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mcp_packager.errors import Problem, WorldError

_MISLEADING = {"UV_PYTHON", "UV_SYSTEM_PYTHON", "VIRTUAL_ENV", "CONDA_PREFIX"}


def program() -> str:
    """Path of the program.

    Raises:
        WorldError: it is not there.
    """
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError) as error:
        raise WorldError(
            Problem(
                what="uv is not installed beside mcp-pack", fix="Install mcp-pack again; uv is one of its dependencies"
            )
        ) from error


def environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What uv shall see: the user's settings, no environment that it might install into, never a Python downloaded."""
    found = {name: value for name, value in (environ or os.environ).items() if name not in _MISLEADING}
    return found | {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}

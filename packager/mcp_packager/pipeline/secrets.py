"""``mcp-pack secrets``: which secrets the tool declares, and whether this machine has them. Never a value."""

from __future__ import annotations

import os
from pathlib import Path

from mcp_packager.manifest import load
from mcp_packager.pipeline.requests import Request, SecretLine


def listing(request: Request) -> tuple[SecretLine, ...]:
    """Every declared secret of the stage, by name. ``present`` is ``None`` where only the target could know."""
    manifest = load(request.project, request.stage)
    return tuple(
        SecretLine(
            name=name,
            source=":".join(secret.source(name)),
            required=secret.required,
            present=_present(*secret.source(name), manifest.project),
            description=secret.description,
        )
        for name, secret in sorted(manifest.secrets.items())
    )


def _present(scheme: str, rest: str, project: Path) -> bool | None:
    match scheme:
        case "env":
            return bool(os.environ.get(rest))
        case "file":
            return (project / Path(rest).expanduser()).is_file()
        case _:
            return None

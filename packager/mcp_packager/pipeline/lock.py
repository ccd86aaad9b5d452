"""``mcp-pack lock``."""

from __future__ import annotations

from mcp_packager.interpreters import find, host_platform
from mcp_packager.lock import ensure, read
from mcp_packager.pipeline.project import open_project
from mcp_packager.pipeline.reports import LockReport
from mcp_packager.pipeline.requests import Request
from mcp_packager.pipeline.standing import with_bases


def lock(request: Request, *, upgrade: bool = False) -> LockReport:
    """Resolve what is missing or stale for every platform that the targets need; ``upgrade`` takes the newest.

    Raises:
        UserError: the requirements cannot be met, or ``--locked`` forbids the change.
        WorldError: the package index does not answer.
    """
    project = open_project(request)
    manifest = project.manifest
    before = read(manifest.project)
    interpreter = find(manifest.tool.python)
    pairs = [(host_platform(interpreter), interpreter)]
    for aim in project.aims:
        pairs += aim.target.platforms(manifest, aim.options)
    after = ensure(
        manifest, pairs, upgrade=upgrade, locked=request.locked, extras=manifest.extras, progress=request.progress
    )
    after = with_bases(after, manifest, project.aims, locked=request.locked, progress=request.progress, upgrade=upgrade)
    old = before.versions() if before else {}
    new = after.versions()
    return LockReport(
        path=after.path,
        written=before is None or before.dump() != after.dump(),
        packages=len(new),
        platforms=tuple(sorted(map(str, after.platforms))),
        changes={
            name: (old.get(name), new.get(name)) for name in sorted({*old, *new}) if old.get(name) != new.get(name)
        },
    )

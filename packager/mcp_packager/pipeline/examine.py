"""``mcp-pack doctor --target``: whether the place that a target deploys to has what a deploy needs."""

from __future__ import annotations

import os

from mcp_packager.errors import Problem, UsageError
from mcp_packager.pipeline.project import open_project
from mcp_packager.pipeline.requests import Request
from mcp_packager.target import Examination, Examined


def examine(request: Request) -> tuple[tuple[str, Examination], ...]:
    """What was found at each target that the request names.

    Raises:
        UserError: the project is wrong, or there is no such target.
        UsageError: a target has no way to look.
    """
    project = open_project(request)
    found = []
    for aim in project.aims:
        if not isinstance(aim.target, Examined):
            raise UsageError(
                Problem(f"the target {aim.name} deploys to this machine, or has no way to look", "leave --target away")
            )
        with request.progress.stage(f"look at {aim.name}"):
            found.append((aim.name, aim.target.examine(project.manifest, aim.options, os.environ)))
    return tuple(found)

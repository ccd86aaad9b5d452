"""``mcp-pack test``: the project's own tests against what was built, not against the folder they lie in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mcp_packager import launch
from mcp_packager.bundle import Bundle, materialise
from mcp_packager.errors import Problem, UserError
from mcp_packager.lock.testing import test_library
from mcp_packager.pipeline.build import build_one
from mcp_packager.pipeline.prepare import Prepared, prepare
from mcp_packager.pipeline.project import Aim, open_project
from mcp_packager.pipeline.requests import Request
from mcp_packager.platforms import Platform
from mcp_packager.store import Store


def test(request: Request, *, arguments: Sequence[str]) -> int:
    """Build for each target, then run pytest with only the artifact's code to import; pytest's first bad exit code.

    Imports come from the bundle. What belongs to the tests alone (pytest, test dependencies, the tests' own modules)
    comes last on the path. An artifact for another kind of machine is tested as built for this one.

    Raises:
        UserError: the project is wrong.
        WorldError: the package index does not answer.
    """
    project = open_project(request)
    prepared = prepare(
        project.manifest, project.aims, locked=request.locked, progress=request.progress, head=request.head
    )
    for aim in project.aims:
        built = build_one(prepared, aim, project.manifest.project / "dist", progress=request.progress)
        code = _examine(request, prepared, aim, built.bundles, arguments)
        if code != 0:
            return code
    return 0


def _examine(
    request: Request, prepared: Prepared, aim: Aim, bundles: dict[Platform, Bundle], arguments: Sequence[str]
) -> int:
    platform, interpreter = prepared.host
    bundle = bundles.get(platform)
    if bundle is None:
        raise UserError(
            Problem(
                f"the artifact of {aim.name} runs on {', '.join(map(str, bundles))}, and this machine is {platform}",
                "run the tests on such a machine, or against another target with --target",
            )
        )
    library = test_library(prepared.manifest, prepared.lock, platform, interpreter, progress=request.progress)
    with Store().scratch() as folder:
        materialise(bundle, folder / "bundle")
        environment = launch.environment(folder / "bundle" / "lib", folder / "bundle" / "app", os.environ)
        environment["PYTHONPATH"] += f"{os.pathsep}{library}"
        environment["MCP_TOOL_BUNDLE"] = str(folder / "bundle")
        command = [str(interpreter.path), "-S", "-P", "-m", "pytest", "-o", "pythonpath=", "-p", "no:cacheprovider"]
        request.progress.note(f"{aim.name}: pytest with the code of the artifact")
        # Not a stage: pytest has the terminal to itself.
        return subprocess.run(
            [*command, "--rootdir", str(prepared.manifest.project), *_chosen(prepared.manifest.project, arguments)],
            cwd=prepared.manifest.project,
            env={**environment, **prepared.manifest.env},
            stdout=sys.stderr,
            check=False,
        ).returncode


def _chosen(project: Path, arguments: Sequence[str]) -> Sequence[str]:
    """The arguments as given, else the tests folder where there is one."""
    if arguments:
        return arguments
    return ["tests"] if (project / "tests").is_dir() else []

"""``mcp-pack build``: one artifact a target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mcp_packager.bundle import Bundle
from mcp_packager.files import remove_tree, writing
from mcp_packager.pipeline.prepare import Prepared, bundles, prepare
from mcp_packager.pipeline.project import Aim, open_project
from mcp_packager.pipeline.requests import BuildReport, Request
from mcp_packager.pipeline.standing import base_of, pinned
from mcp_packager.pipeline.timing import Timed
from mcp_packager.platforms import Platform
from mcp_packager.progress import Progress
from mcp_packager.store import Store
from mcp_packager.target import ARTIFACT_FILE, Artifact, BuildInput, write_artifact


@dataclass(frozen=True)
class Built:
    """One target's artifact, with the bundles it was made of."""

    aim: Aim
    artifact: Artifact
    bundles: dict[Platform, Bundle]
    folder: Path


def build(request: Request, *, output: Path | None = None) -> tuple[BuildReport, ...]:
    """Build for every target asked for, into ``output`` (default ``dist`` in the project) ``/<target>/``.

    Raises:
        UserError: manifest, dependencies, files or code are wrong.
        WorldError: the package index does not answer.
    """
    timed = Timed(request.progress)
    with timed.stage("manifest"):
        project = open_project(request)
    prepared = prepare(project.manifest, project.aims, locked=request.locked, progress=timed)
    reports = []
    for aim in project.aims:
        built = build_one(prepared, aim, output or project.manifest.project / "dist", progress=timed)
        reports.append(
            BuildReport(
                target=aim.name,
                folder=built.folder,
                artifact=built.artifact.as_json(),
                files=tuple(sorted(path for path in built.folder.iterdir() if path.name != ARTIFACT_FILE)),
                untracked=prepared.author.untracked,
                seconds=dict(timed.seconds),
            )
        )
    return tuple(reports)


def build_one(prepared: Prepared, aim: Aim, output: Path, *, progress: Progress) -> Built:
    """Build for one target. The folder appears whole: an interrupted build leaves the one before it.

    Two builds into one folder take turns.
    """
    made = bundles(prepared, aim, progress=progress)
    folder, fresh = output / aim.name, output / f".{aim.name}.new"
    with progress.stage("artifact"), Store().alone(f"build {folder.absolute()}"), writing(folder):
        remove_tree(fresh)
        fresh.mkdir(parents=True)
        try:
            request = BuildInput(
                manifest=prepared.manifest,
                options=aim.options,
                bundles=made,
                contract=prepared.contract.document,
                output=fresh,
                progress=progress,
                base=pinned(prepared.lock, base_of(prepared.manifest, aim)),
            )
            artifact = aim.target.build(request)
            write_artifact(artifact, fresh)
            remove_tree(folder)
            fresh.rename(folder)
        finally:
            remove_tree(fresh)
    return Built(aim, artifact, made, folder)

"""``mcp-pack build``: one artifact a target."""

from __future__ import annotations

from pathlib import Path

from mcp_packager.files import remove_tree, writing
from mcp_packager.pipeline.artifacts import Built, write_contract
from mcp_packager.pipeline.prepare import Prepared, bundles, prepare
from mcp_packager.pipeline.project import Aim, open_project
from mcp_packager.pipeline.requests import BuildReport, Request
from mcp_packager.pipeline.shipping import load, pushable, pushed
from mcp_packager.pipeline.standing import base_of, pinned
from mcp_packager.pipeline.timing import Timed
from mcp_packager.progress import Progress
from mcp_packager.store import Store, trusting
from mcp_packager.target import ARTIFACT_FILE, BuildInput, write_artifact


def build(request: Request, *, output: Path | None = None, push: str | None = None) -> tuple[BuildReport, ...]:
    """Build for every target asked for, into ``output`` (default ``dist`` in the project) ``/<target>/``.

    ``push`` is a repository that the images of those targets that make some are put into.

    Raises:
        UserError: manifest, dependencies, files or code are wrong, or the registry does not let us push.
        UsageError: there is something to push to, and no target makes an image.
        WorldError: the package index or the registry does not answer.
    """
    timed = Timed(request.progress)
    with timed.stage("manifest"):
        project = open_project(request)
    if push is not None:
        pushable(push, project.aims)
    with trusting():
        prepared = prepare(
            project.manifest,
            project.aims,
            locked=request.locked,
            progress=timed,
            meanwhile=lambda: load(project.aims, push=push is not None),
            head=request.head,
        )
        folder = output or project.manifest.project / "dist"
        every = [build_one(prepared, aim, folder, progress=timed) for aim in project.aims]
        shipped = [None if push is None else pushed(built, push, progress=timed) for built in every]
    return tuple(
        BuildReport(
            target=built.aim.name,
            folder=built.folder,
            artifact=built.artifact.as_json(),
            files=tuple(sorted(path for path in built.folder.iterdir() if path.name != ARTIFACT_FILE)),
            untracked=prepared.author.untracked,
            seconds=dict(timed.seconds),
            pushed=done,
        )
        for built, done in zip(every, shipped, strict=True)
    )


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
                lock=prepared.lock,
            )
            artifact = aim.target.build(request)
            write_contract(prepared.contract.document, fresh)
            write_artifact(artifact, fresh)
            remove_tree(folder)
            fresh.rename(folder)
        finally:
            remove_tree(fresh)
    return Built(aim, artifact, prepared.contract, folder, made, dict(prepared.platforms[aim.name]))

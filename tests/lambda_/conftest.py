"""Zips of tool projects as Lambda would get them, made once a session for each Python, unpacked read-only."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mcp_packager.bundle import assemble, author_files
from mcp_packager.bundle.zip import Zipped
from mcp_packager.files import remove_tree
from mcp_packager.interpreters import find, host_platform
from mcp_packager.lock import ensure
from mcp_packager.manifest import load
from mcp_packager.pipeline.prepare import extract_contract
from mcp_packager.platforms import Platform
from mcp_packager.progress import Silent
from mcp_targets.aws_lambda.package import package
from tests.lambda_.emulator import unpacked

Zip = Callable[[Path, str], Zipped]
Task = Callable[[Path, str], Path]


def zipped(project: Path, minor: str, path: Path) -> Zipped:
    """Build the zip of a project for this machine's processor and one Python."""
    manifest = load(project)
    host = find(manifest.tool.python)
    here, there = (host_platform(host), host), find(f"=={minor}.*")
    target = Platform(minor, f"{platform.machine()}-manylinux_2_34")
    lock = ensure(manifest, [here, (target, there)], locked=False, extras=manifest.extras, progress=Silent())
    author = author_files(manifest)
    contract = extract_contract(manifest, lock, here, author, progress=Silent())
    bundle = assemble(
        manifest=manifest,
        lock=lock,
        platform=target,
        interpreter=there,
        contract_document=contract.document,
        tool_document=manifest.tool_document(),
        author=author,
    )
    return package(bundle, path)


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Task]:
    """The files of a project's function, as they lie in ``/var/task``; made once for each Python."""
    made: dict[tuple[Path, str], Path] = {}
    folder = tmp_path_factory.mktemp("lambda")

    def make(project: Path, minor: str) -> Path:
        key = (project, minor)
        if key not in made:
            name = f"{project.name}-{minor}-{len(made)}"
            made[key] = unpacked(zipped(project, minor, folder / f"{name}.zip").path, folder / name)
        return made[key]

    yield make
    remove_tree(folder)

"""Zips of tool projects as Lambda would get them, made once a session for each Python, unpacked read-only."""

from __future__ import annotations

import itertools
import json
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mcp_packager.bundle import assemble, author_files
from mcp_packager.bundle.zip import Zipped
from mcp_packager.files import remove_tree
from mcp_packager.interpreters import find, host_platform
from mcp_packager.lock import ensure
from mcp_packager.manifest import load
from mcp_packager.pipeline.prepare import extract_contract
from mcp_packager.platforms import Platform
from mcp_packager.progress import Silent
from mcp_packager.testing.aws.running import unpacked
from mcp_targets.aws_lambda.package import package
from tests.lambda_.deployer import Deployer
from tests.lambda_.fake import Cloud, running
from tests.lambda_.functions import TRUST, Made, asked, look

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


_numbers = itertools.count()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running(tmp_path_factory.mktemp("aws"), slow=1, shy=1) as made:
        yield made


@pytest.fixture(scope="module")
def aws(cloud: Cloud) -> Any:
    return cloud.client("lambda")


@pytest.fixture(scope="module")
def role(cloud: Cloud, aws: Any) -> str:
    """A role that Lambda knows by now."""
    found: str = cloud.client("iam").create_role(RoleName="known", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"][
        "Arn"
    ]
    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        aws.create_function(**asked("never", found))
    return found


@pytest.fixture
def made(aws: Any, role: str) -> Made:
    """Makes a function that is ready, and answers its name."""

    def make(**more: Any) -> str:
        name = f"function-{next(_numbers)}"
        aws.create_function(**{**asked(name, role), **more})
        look(aws, name)
        return name

    return make


@pytest.fixture
def deployer(tmp_path: Path) -> Deployer:
    folder = tmp_path / "tool"
    folder.mkdir()
    return Deployer(folder)

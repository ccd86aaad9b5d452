"""The official conformance suites against the container: the fixture of ``tests/conformance``, deployed to `docker`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_packager.testing import Pack
from tests.conformance.suites import HERE, SUITES
from tests.sampling import sampled

pytestmark = [
    pytest.mark.real("dockerd", "docker-registry", "base-image"),
    pytest.mark.xdist_group("docker"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the fixture is served: by a container, behind the front."""
    folder = tmp_path_factory.mktemp("conformance") / "project"
    shutil.copytree(HERE / "fixture", folder, ignore=shutil.ignore_patterns("__pycache__"))
    pack = Pack(folder, "docker", {})
    deployed = pack.deploy()
    yield deployed["endpoint"]["url"]
    pack.run("destroy", "--yes", "--data")


@pytest.mark.real("node-modules", "node22")
@pytest.mark.parametrize("suite", sampled(sorted(SUITES), 1, of="conformance on docker"))
def test_conformance(url: str, tmp_path: Path, suite: str) -> None:
    SUITES[suite](url, tmp_path)

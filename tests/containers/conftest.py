"""A Docker daemon and a registry of the tests' own. All tests here run in one worker and share them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers import bases
from tests.containers.dockerd import Dockerd
from tests.containers.podman import Podman, serving
from tests.image import registries

MINOR = "{}.{}".format(*sys.version_info)


@pytest.fixture(scope="session")
def dockerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    """The daemon of the session."""
    place = tmp_path_factory.mktemp("dockerd")
    # A socket's path has 108 bytes at most, and pytest's folders are long.
    running = Dockerd(place, Path(f"/tmp/mcp-pack-docker-{os.getpid()}.sock"))
    try:
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(place / "data", ignore_errors=True)


@pytest.fixture(scope="session")
def docker_host(dockerd: Dockerd) -> str:
    """Its address."""
    return dockerd.address


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that has the base image under its public name; its ``host:port``."""
    with registries.registry(tmp_path_factory.mktemp("mirror")) as address:
        bases.push(address, MINOR)
        bases.push_redis(address)
        yield address


@pytest.fixture(scope="session")
def podman(mirror: str) -> Iterator[Podman]:
    """The Podman of the session; a module that wants it puts its address into `DOCKER_HOST`."""
    with serving(mirror) as running:
        yield running


@pytest.fixture(autouse=True, scope="session")
def _places(docker_host: str, mirror: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where every ``mcp-pack`` of these tests finds daemon and base images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", docker_host)
        patch.setenv("MCP_PACK_REGISTRY_MIRROR", mirror)
        patch.setenv("DOCKER_CONFIG", str(tmp_path_factory.mktemp("docker-config")))
        yield

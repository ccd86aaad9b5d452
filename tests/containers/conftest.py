"""A Docker daemon and a registry of the tests' own. All tests here run in one worker and share them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import real_parts
from tests.containers import bases
from tests.image import registries

_SECONDS = 30.0
MINOR = "{}.{}".format(*sys.version_info)


@pytest.fixture(scope="session")
def docker_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of ``dockerd`` with data, socket and process id of its own."""
    # A socket's path has 108 bytes at most, and pytest's folders are long.
    place = tmp_path_factory.mktemp("dockerd")
    socket = Path(f"/tmp/mcp-pack-docker-{os.getpid()}.sock")
    folders = [f"--data-root={place}/data", f"--exec-root={place}/exec", f"--pidfile={place}/pid"]
    with (place / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [real_parts.PARTS["dockerd"](), *folders, "--host", f"unix://{socket}"], stdout=log, stderr=log
        )
    try:
        _until_up(socket, daemon, place / "log")
        yield f"unix://{socket}"
    finally:
        daemon.terminate()
        daemon.wait(60)
        socket.unlink(missing_ok=True)
        shutil.rmtree(place / "data", ignore_errors=True)


def _until_up(socket: Path, daemon: subprocess.Popen[bytes], log: Path) -> None:
    import docker
    from docker.errors import DockerException

    deadline = time.monotonic() + _SECONDS
    while daemon.poll() is None and time.monotonic() < deadline:
        try:
            docker.APIClient(base_url=f"unix://{socket}", version="auto", timeout=5).close()
        except DockerException:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"dockerd is not up: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that has the base image under its public name; its ``host:port``."""
    with registries.registry(tmp_path_factory.mktemp("mirror")) as address:
        bases.push(address, MINOR)
        bases.push_redis(address)
        yield address


@pytest.fixture(autouse=True, scope="session")
def _places(docker_host: str, mirror: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where every ``mcp-pack`` of these tests finds daemon and base images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", docker_host)
        patch.setenv("MCP_PACK_REGISTRY_MIRROR", mirror)
        patch.setenv("DOCKER_CONFIG", str(tmp_path_factory.mktemp("docker-config")))
        yield

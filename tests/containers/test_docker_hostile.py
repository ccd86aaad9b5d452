"""A hostile world: each failure is told with its fix, clients keep their server, and the same command finishes it."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mcp_packager.errors import PackError
from mcp_packager.testing import Pack, Project, calling, greeting
from mcp_targets.docker.names import KIND
from tests.containers import bases
from tests.containers.asking import daemon
from tests.containers.conftest import MINOR
from tests.containers.dockerd import Dockerd
from tests.containers.test_docker_services import count, write
from tests.containers.waiting import wait_for
from tests.image.registries import free_port

pytestmark = [
    pytest.mark.real("dockerd", "docker-registry", "base-image"),
    pytest.mark.xdist_group("docker"),
    pytest.mark.timeout(300),
]


_numbers = itertools.count(1)


def next_of(project: Project) -> str:
    """Write the project as of a version that was never there."""
    version = f"{next(_numbers)}.0.0"
    project.write(version)
    return version


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Pack]]:
    project = Project(tmp_path_factory.mktemp("project") / "suite", "docker", "keep = 2", name="hostile")
    next_of(project)
    pack = Pack(project.folder, "docker", {})
    pack.deploy()
    yield project, pack
    pack.run("destroy", "--yes", "--data")


def servers() -> list[str]:
    """The containers of the tool."""
    label = {"label": ["mcp-pack/tool=hostile", "mcp-pack/kind=container"]}
    return [each["Id"] for each in daemon().api.containers(all=True, filters=label)]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupt_lets_go_of_the_lock(deployed: tuple[Project, Pack], number: int, code: int) -> None:
    project, pack = deployed
    url = pack.url()
    before = len(servers())
    version = next_of(project)
    with calling(url) as calls, pack.start("deploy", "--yes") as stopped:
        wait_for(lambda: len(servers()) > before)
        stopped.send_signal(number)
        stdout, stderr = stopped.communicate(timeout=90)
    assert stopped.returncode == code, stdout + stderr
    assert "Traceback" not in stdout + stderr
    assert calls.failures == []
    assert pack.deploy()["version"] == version
    assert greeting(url).endswith(f"{version}.")
    assert pack.run("drift").code == 0
    assert len(servers()) == 1


def test_two_deploy_at_once(deployed: tuple[Project, Pack]) -> None:
    project, pack = deployed
    before = len(servers())
    version = next_of(project)
    with calling(pack.url()) as calls, pack.start("deploy", "--yes") as first:
        wait_for(lambda: len(servers()) > before)
        told = pack.run("deploy", "--yes", expect=(3,)).told
        stdout, stderr = first.communicate(timeout=120)
    assert first.returncode == 0, stdout + stderr
    assert "holds the lock for deploy" in told
    assert calls.failures == []
    assert greeting(pack.url()).endswith(f"{version}.")


def images() -> set[str]:
    """The images of all releases."""
    return {found["Id"] for found in daemon().api.images(name="mcp-pack/hostile")}


def test_a_prune_leaves_clients_and_the_releases(deployed: tuple[Project, Pack]) -> None:
    """``docker system prune -af`` takes containers that do not run, and each image that nothing runs of, or not."""
    project, pack = deployed
    version = next_of(project)
    pack.deploy()
    last = next_of(project)
    pack.deploy()
    url, before = pack.url(), pack.run("history").document
    kept = images()
    assert len(kept) > 1
    with calling(url) as calls:
        prune = ["docker", "system", "prune", "-af"]
        subprocess.run([*prune, "--filter", f"label!={KIND}"], check=True, capture_output=True)
        assert images() == kept
        subprocess.run(prune, check=True, capture_output=True)
        assert len(images()) < len(kept)
        assert pack.run("history").document == before
        told = pack.run("rollback", "--yes", expect=(3,)).told
        assert "of that release is no longer at the daemon" in told
        assert "mcp-pack build that version, then say the same again" in told
        assert pack.run("history").document == before
        assert set(calls.answers) == {f"hello, you! This is {last}."}
        project.write(version)
        pack.run("build")
        pack.run("rollback", "--yes")
    assert calls.failures == []
    assert greeting(url).endswith(f"{version}.")
    assert pack.run("drift").code == 0


def test_a_restart_of_the_daemon_brings_all_back(tmp_path: Path, mirror: str, dockerd: Dockerd) -> None:
    pack = write(tmp_path / "counter", f"{mirror}/library/redis:7")
    pack.deploy()
    try:
        number, url = count(pack, 3), pack.url()
        dockerd.stop()
        assert "no container daemon answers" in pack.run("status", expect=(1,)).told
        dockerd.start()

        def answers() -> bool:
            with suppress(PackError):
                return count(pack, 0) == number
            return False

        wait_for(answers, 60)
        assert pack.url() == url
        (status,) = pack.run("status").document["deployments"]
        assert status["state"] == "running"
        assert pack.run("drift").code == 0
    finally:
        pack.run("destroy", "--yes", "--data")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for the service of containers and one image, where this machine lets us have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400m", "none", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--recursive", str(folder)], check=True)


def test_a_full_disk_leaves_clients_their_server(tmp_path: Path, small_disk: Path, dockerd: Dockerd) -> None:
    project = Project(tmp_path / "suite", "docker", "keep = 2")
    project.write("1.0.0")
    pack = Pack(project.folder, "docker", {})
    with dockerd.elsewhere(small_disk):
        url = pack.deploy()["endpoint"]["url"]
        project.write("2.0.0")
        filler = small_disk / "filler"
        with calling(url) as calls:
            free = os.statvfs(small_disk)
            with filler.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - 65_536)
            told = pack.run("deploy", "--yes", expect=(3,)).told
        assert "no space left" in told
        assert "make room" in told
        assert calls.failures == []
        assert set(calls.answers) == {"hello, you! This is 1.0.0."}
        filler.unlink()
        assert pack.deploy()["version"] == "2.0.0"
        assert greeting(url).endswith("2.0.0.")
        pack.run("destroy", "--yes", "--data")


def test_no_registry_is_told(tmp_path: Path) -> None:
    project = Project(tmp_path / "suite", "docker", 'base = "nobody-has:1"')
    project.write("1.0.0")
    mirror = {"MCP_PACK_REGISTRY_MIRROR": f"127.0.0.1:{free_port()}"}
    told = Pack(project.folder, "docker", mirror).run("build", expect=(3,)).told
    assert "cannot be reached: Connection refused" in told
    assert not (project.folder / "dist").exists()


def test_a_base_for_another_processor_is_told(tmp_path: Path, mirror: str) -> None:
    bases.push_foreign(mirror, MINOR)
    project = Project(tmp_path / "suite", "docker", 'base = "foreign:1"')
    project.write("1.0.0")
    told = Pack(project.folder, "docker", {}).run("build", expect=(1,)).told
    assert "s390x" in told
    assert "amd64" in told

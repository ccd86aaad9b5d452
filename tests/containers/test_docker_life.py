"""Living with a tool in a container: under load, hardened, crashed, with services, in a hostile world."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.target import Action, Identity, Observed, Resource, Step, WorldInput
from mcp_packager.testing import Pack, Project, calling, greeting
from mcp_targets.docker.names import fields_of, key_of
from mcp_targets.docker.options import Options
from mcp_targets.docker.world import DockerWorld
from tests.containers.asking import daemon, left_of
from tests.containers.test_docker import containers, names_of
from tests.containers.waiting import wait_for
from tests.targets.loading import client

pytestmark = [pytest.mark.real("dockerd", "docker-registry", "base-image"), pytest.mark.xdist_group("docker")]

LEAST = 2000
"""Calls that must have been answered before it counts that none failed."""


def inspect(pack: Pack, kind: str = "container") -> dict[str, Any]:
    (found,) = containers(pack, kind)
    seen: dict[str, Any] = daemon().api.inspect_container(found["Id"])
    return seen


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Pack]]:
    project = Project(tmp_path_factory.mktemp("project") / "suite", "docker", "keep = 2")
    project.write("1.0.0")
    pack = Pack(project.folder, "docker", {})
    pack.deploy()
    yield project, pack
    project.write("1.0.0")
    pack.run("destroy", "--yes", "--data")


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
def test_a_redeploy_and_a_rollback_fail_no_call(
    deployed: tuple[Project, Pack], mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project, pack = deployed
    project.write("1.0.0")
    pack.deploy()
    with client() as calls, calls.load(pack.url(), mode, least=LEAST) as seen:
        project.write("2.0.0")
        pack.deploy()
        pack.run("rollback", "--yes")
    with capsys.disabled():
        print(f"\ndocker, redeploy and rollback, {mode}: {seen.count} calls, {len(seen.failed)} failed")
    assert seen.failed == []
    assert seen.count >= LEAST
    assert set(seen.answers) == {"hello, you! This is 1.0.0.", "hello, you! This is 2.0.0."}


def test_a_crash_is_started_again_and_calls_wait_for_it(deployed: tuple[Project, Pack]) -> None:
    _, pack = deployed
    before = inspect(pack)
    with calling(pack.url()) as calls:
        wait_for(lambda: len(calls.answers) > 5)
        os.kill(before["State"]["Pid"], 9)
        wait_for(lambda: inspect(pack)["State"]["StartedAt"] != before["State"]["StartedAt"])
        seen = len(calls.answers)
        wait_for(lambda: len(calls.answers) > seen + 10)
    # Whatever was in flight in the moment of the crash; the next ones waited at the front.
    assert len(calls.failures) <= 1
    assert greeting(pack.url()).startswith("hello")
    (status,) = pack.run("status").document["deployments"]
    assert status["restarts"] >= 1


def test_one_that_was_started_again_is_awaited_as_it_runs(deployed: tuple[Project, Pack]) -> None:
    """A deploy that finds it starting, after a crash or while a service is away, is done when it is ready."""
    _, pack = deployed
    before = inspect(pack)
    os.kill(before["State"]["Pid"], 9)
    wait_for(lambda: inspect(pack)["RestartCount"] > before["RestartCount"])
    labels = inspect(pack)["Config"]["Labels"]
    key, fields = key_of(labels), fields_of(labels)
    step = Step(Action.UPDATE, key, Resource(*key, fields), Observed(*key, {**fields, "state": "starting"}))
    identity = Identity("suite-tool", "suite-tool", pack.stage)
    DockerWorld(WorldInput(identity, options=Options(), environ=os.environ)).apply(step)
    assert inspect(pack)["Id"] == before["Id"]
    assert greeting(pack.url()).startswith("hello")


def test_what_is_changed_by_hand_is_drift_and_mended(deployed: tuple[Project, Pack]) -> None:
    _, pack = deployed
    daemon().api.update_container(inspect(pack)["Id"], mem_limit="200m", memswap_limit="200m")
    assert "memory" in pack.run("drift", expect=(4,)).told
    pack.deploy()
    assert pack.run("drift").code == 0
    assert inspect(pack)["HostConfig"]["Memory"] == 0


def test_the_front_taken_away_comes_back_on_its_port(deployed: tuple[Project, Pack]) -> None:
    _, pack = deployed
    url = pack.url()
    daemon().api.remove_container(inspect(pack, "front")["Id"], force=True)
    assert pack.run("drift", expect=(4,)).document
    pack.deploy()
    assert pack.url() == url
    assert greeting(url).startswith("hello")


def test_too_little_memory_is_told(tmp_path: Path) -> None:
    project = Project(tmp_path / "suite", "docker", name="hungry")
    project.write("1.0.0")
    with (project.folder / "mcp-tool.toml").open("a") as manifest:
        manifest.write('\n[resources]\nmemory = "24Mi"\n')
    pack = Pack(project.folder, "docker", {})
    told = pack.run("deploy", "--yes", expect=(1,)).told
    assert "for lack of memory" in told
    assert "[resources] memory" in told
    assert left_of("hungry") == {"release"}
    pack.run("destroy", "--yes")


def test_secrets_are_files_that_nobody_else_sees(tmp_path: Path) -> None:
    project = Project(tmp_path / "suite", "docker", name="secretive")
    project.write("1.0.0", keys=["NEW_KEY"])
    old, new = "first-value-of-the-key", "second-value-of-the-key"
    pack = Pack(project.folder, "docker", {"OLD_KEY": "unused-value", "NEW_KEY": old})
    try:
        pack.deploy()
        seen = str(daemon().api.inspect_container(_named(pack, "secretive")))
        assert old not in seen
        assert old not in pack.run("history").told + pack.run("status").told + pack.run("plan").told
        from mcp_packager.testing.client import let_in

        assert let_in(pack.url(), old)
        assert not let_in(pack.url(), None)
        changed = Pack(project.folder, "docker", {"OLD_KEY": "unused-value", "NEW_KEY": new})
        changed.run("secrets push")
        assert let_in(pack.url(), new)
        assert not let_in(pack.url(), old)
    finally:
        pack.run("destroy", "--yes")


def _named(pack: Pack, tool: str) -> str:
    filters = {"label": [f"mcp-pack/tool={tool}", "mcp-pack/kind=container"]}
    (found,) = daemon().api.containers(filters=filters)
    identity: str = found["Id"]
    return identity


def test_a_port_that_is_taken_is_told_and_nothing_stays(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        project = Project(tmp_path / "suite", "docker", f"port = {taken.getsockname()[1]}", name="portless")
        project.write("1.0.0")
        pack = Pack(project.folder, "docker", {})
        told = pack.run("deploy", "--yes", expect=(3,)).told
    assert "the port is taken" in told
    assert "[target.docker] port" in told
    assert left_of("portless") == {"release"}
    pack.run("destroy", "--yes")


def test_no_daemon_is_told_before_anything_happens(tmp_path: Path) -> None:
    project = Project(tmp_path / "suite", "docker", name="alone")
    project.write("1.0.0")
    nowhere = tmp_path / "none.sock"
    told = Pack(project.folder, "docker", {"DOCKER_HOST": f"unix://{nowhere}"}).run("deploy", "--yes", expect=(1,)).told
    assert "no container daemon answers" in told
    assert "DOCKER_HOST" in told


_REFUSED = """\
import os
import docker, requests
from mcp_packager.errors import UserError
from mcp_targets.docker.daemon import Daemon
os.seteuid(65534)
try:
    Daemon(os.environ).api
except UserError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody whom the daemon refuses")
def test_a_socket_that_is_not_for_us_is_told() -> None:
    done = subprocess.run([sys.executable, "-c", _REFUSED], capture_output=True, text=True, check=True)
    assert "you may not speak to the container daemon at unix:" in done.stdout
    assert "join the group docker" in done.stdout


def test_a_base_that_is_not_there_is_told(tmp_path: Path) -> None:
    project = Project(tmp_path / "suite", "docker", 'base = "no-such-base:1"', name="baseless")
    project.write("1.0.0")
    told = Pack(project.folder, "docker", {}).run("build", expect=(1,)).told
    assert "there is no image docker.io/library/no-such-base:1" in told


def test_the_names_are_found_again(deployed: tuple[Project, Pack]) -> None:
    """What was made is found by labels alone: nothing on this machine's disk says where it is."""
    _, pack = deployed
    elsewhere = Pack(pack.project, "docker", {"MCP_PACK_HOME": str(pack.project / "other-home")})
    (status,) = elsewhere.run("status").document["deployments"]
    assert status["state"] == "running"
    assert names_of(pack).filters["label"]

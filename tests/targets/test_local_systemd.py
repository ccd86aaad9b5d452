"""The unit under a real user manager: installed, killed, over a reboot, and gone with the deployment."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mcp_packager.testing import Pack, Project, calling, greeting
from mcp_targets.local.daemon import Daemon
from mcp_targets.local.places import Places
from mcp_targets.local.supervisor.loop import left_behind
from mcp_targets.local.supervisor.machine import birth
from mcp_targets.local.unit import Unit
from tests.targets.crash.picture import processes
from tests.targets.test_local import places_of
from tests.targets.test_local_life import wait_for
from tests.targets.user_manager import UserManager, user_manager

pytestmark = [pytest.mark.real("systemd"), pytest.mark.timeout(300)]

SECONDS = 90.0


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[UserManager]:
    with user_manager(tmp_path) as made:
        yield made


@pytest.fixture
def deployed(tmp_path: Path, manager: UserManager) -> Iterator[Pack]:
    project = Project(tmp_path / "suite", "local", "install_unit = true")
    project.write("1.0.0")
    pack = Pack(project.folder, "local", {"MCP_PACK_HOME": str(tmp_path / "home"), **manager.environ})
    pack.deploy()
    yield pack
    pack.run("destroy", "--yes")


def power_off(places: Places, daemon: Daemon) -> None:
    """End every process of the deployment as a machine that loses power does."""
    running = [daemon.state()["pid"], *(pid for pid, _ in left_behind(places.run))]
    for pid in running:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(birth(pid) for pid in running))
    assert not list(processes(places.root))


def serves(pack: Pack, daemon: Daemon, version: str) -> None:
    wait_for(lambda: daemon.alive() and daemon.slot("server").get("state") == "running", SECONDS)
    assert greeting(pack.url()) == f"hello, you! This is {version}."


def test_it_serves_after_a_reboot_a_redeploy_and_a_kill_and_goes_with_destroy(
    deployed: Pack, manager: UserManager, tmp_path: Path
) -> None:
    places = places_of(deployed)
    daemon, unit = Daemon(places), Unit(places, deployed.environ)
    url = deployed.url()
    assert "enabled" in manager.ask("is-enabled", unit.name)
    # The deploy's own supervisor runs; the unit's turn comes with the next start.
    assert manager.ask("is-active", unit.name).strip() == "inactive"

    manager.stop()
    power_off(places, daemon)
    (status,) = deployed.run("status").document["deployments"]
    assert status["state"] == "stopped"
    manager.start()
    serves(deployed, daemon, "1.0.0")
    assert deployed.url() == url
    assert manager.ask("is-active", unit.name).strip() == "active"
    assert manager.ask("show", "--property=MainPID", "--value", unit.name).strip() == str(daemon.state()["pid"])
    assert deployed.run("drift").code == 0

    Project(deployed.project, "local", "install_unit = true").write("2.0.0")
    with calling(url) as calls:
        deployed.deploy()
    assert calls.failures == []

    before = daemon.state()["pid"]
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: daemon.alive() and daemon.state()["pid"] != before, SECONDS)
    serves(deployed, daemon, "2.0.0")
    assert manager.ask("show", "--property=NRestarts", "--value", unit.name).strip() == "1"

    # Logging out ends it orderly, with nothing left running.
    manager.stop()
    wait_for(lambda: not list(processes(places.root)), SECONDS)
    manager.start()
    serves(deployed, daemon, "2.0.0")

    deployed.run("destroy", "--yes")
    wait_for(lambda: not list(processes(places.root)))
    assert not places.root.exists()
    assert unit.name not in manager.ask("list-unit-files")
    assert manager.ask("is-active", unit.name).strip() == "inactive"
    assert [path for path in (tmp_path / "config").rglob("*") if not path.is_dir()] == []

"""A supervisor that is killed: its server goes on serving, and whoever comes next takes it over under load."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mcp_targets.local.supervisor
from mcp_packager.testing import Pack, Project
from mcp_targets.local.daemon import Daemon
from mcp_targets.local.supervisor.machine import birth, regained
from tests.targets.crash.picture import processes
from tests.targets.loading import AT_ONCE, Seen, client
from tests.targets.test_local import places_of
from tests.targets.test_local_life import wait_for

LEAST = 500
SETTLED = 60.0

Told = Callable[[str, Seen], None]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    def tell(what: str, seen: Seen) -> None:
        with capsys.disabled():
            print(f"\n{what}: {seen.count} calls, {len(seen.failed)} failed, {AT_ONCE} at once", end="")

    return tell


def killed(pack: Pack) -> tuple[Daemon, dict[str, Any]]:
    """The deployment after SIGKILL to its supervisor, and what that said last of its server."""
    daemon = Daemon(places_of(pack))
    server = dict(daemon.slot("server"))
    os.kill(daemon.state()["pid"], signal.SIGKILL)
    wait_for(lambda: not daemon.alive())
    return daemon, server


def can_regain(pack: Pack) -> bool:
    server = Daemon(places_of(pack)).slot("server")
    made = regained(server["pid"], server["public_fd"], server["port"])
    if made is not None:
        made.close()
    return made is not None


def test_status_and_drift_say_so_with_the_fix(deployed: tuple[Project, Pack]) -> None:
    _, pack = deployed
    url = pack.url()
    _, server = killed(pack)
    (status,) = pack.run("status").document["deployments"]
    assert (status["state"], status["endpoint"]["url"]) == ("running", url)
    assert "the supervisor was killed: the server that it left goes on serving" in status["detail"][0]
    assert "mcp-pack deploy takes it over" in status["detail"][0]
    assert "killed, with its server left running" in pack.run("drift", expect=(4,)).told
    # Once the server is gone too, nothing serves.
    os.kill(server["pid"], signal.SIGKILL)
    wait_for(lambda: birth(server["pid"]) is None)
    (status,) = pack.run("status").document["deployments"]
    assert status["state"] == "stopped"
    assert "mcp-pack deploy starts it again" in status["detail"][0]


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
def test_a_deploy_takes_the_server_over_and_no_call_fails(
    deployed: tuple[Project, Pack], version: str, told: Told
) -> None:
    project, pack = deployed
    if not can_regain(pack):
        pytest.skip("this system gives no process the sockets of another")
    url = pack.url()
    with client() as calls, calls.load(url, least=LEAST) as seen:
        daemon, orphan = killed(pack)
        project.write(version)
        pack.deploy()
    told(f"supervisor killed, version {version} deployed", seen)
    assert seen.failed == []
    assert seen.count >= LEAST
    wait_for(lambda: birth(orphan["pid"]) is None)
    assert daemon.alive()
    assert pack.url() == url
    assert pack.run("drift").code == 0
    # The server is the supervisor's own child again: its death is seen and told.
    before = daemon.slot("server")["pid"]
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: daemon.slot("server")["state"] == "running" and daemon.slot("server")["pid"] != before)
    assert daemon.slot("server")["exit"].startswith("was killed by SIGKILL")


def test_where_the_socket_cannot_be_had_clients_wait_for_the_next_server(
    deployed: tuple[Project, Pack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    """The supervisor's code, beside the deployment, is one that is refused every socket."""
    _, pack = deployed
    (code,) = mcp_targets.local.supervisor.__path__
    refused = tmp_path / "refused"
    shutil.copytree(code, refused)
    with (refused / "machine.py").open("a") as machine:
        machine.write("\n\ndef regained(pid, number, port):\n    return None\n")
    monkeypatch.setattr(mcp_targets.local.supervisor, "__path__", [str(refused)])
    url = pack.url()
    with client() as calls, calls.load(url, least=LEAST) as seen:
        daemon, orphan = killed(pack)
        python = Path(orphan["spec"]["argv"][0])
        daemon.start(python, os.environ)
        wait_for(lambda: (now := daemon.slot("server"))["state"] == "running" and now["pid"] != orphan["pid"], SETTLED)
    told("supervisor killed, its socket refused to the next", seen)
    # Only who connects in the moment between the old server's end and the new socket is refused.
    assert len(seen.failed) <= 2 * AT_ONCE
    assert seen.count >= LEAST
    wait_for(lambda: birth(orphan["pid"]) is None)
    assert pack.url() == url
    assert pack.run("drift").code == 0


def test_a_destroy_after_it_leaves_nothing(deployed: tuple[Project, Pack]) -> None:
    _, pack = deployed
    killed(pack)
    places = places_of(pack)
    pack.run("destroy", "--yes")
    wait_for(lambda: not list(processes(places.root)))
    assert not places.root.exists()

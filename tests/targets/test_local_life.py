"""What only `local` has: a supervisor, files of secrets, a log, a port."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import os
import platform
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.target import Identity
from mcp_packager.testing import Pack, greeting
from mcp_targets.local.daemon import Daemon
from mcp_targets.local.places import Places
from mcp_targets.local.supervisor.machine import bound, port_of, read_json, write_json

_MANIFEST = """\
[tool]
name = "lively"
entrypoint = "lively"

[secrets.TOKEN]
description = "What opens it"

[secrets.SPARE]
required = false
from = "file:spare.txt"

[target.local]
{options}
"""

_CODE = '''\
import os

from mcp_tool import tool


@tool
def greet(name: str) -> str:
    """Greet somebody."""
    return f"{name} {len(os.environ['TOKEN'])}"


@tool
def die(code: int) -> str:
    """End the process."""
    os._exit(code)
'''

SECRET = "s3cr3t-value-that-must-not-show"


def wait_for(true: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = true()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come about")


class Deployment:
    """A deployed project with its command line and its supervisor."""

    def __init__(self, folder: Path, options: str = "") -> None:
        self.folder = folder / "lively"
        self.folder.mkdir()
        self.write(options)
        (self.folder / "lively.py").write_text(_CODE)
        self.pack = Pack(self.folder, "local", {"MCP_PACK_HOME": str(folder / "home"), "TOKEN": SECRET})
        self.places = Places.of(Identity("lively", "lively"), self.pack.environ)
        self.daemon = Daemon(self.places)

    def write(self, options: str) -> None:
        (self.folder / "mcp-tool.toml").write_text(_MANIFEST.format(options=options))

    def server(self) -> dict[str, Any]:
        return dict(self.daemon.slot("server"))

    def status(self) -> dict[str, Any]:
        (status,) = self.pack.run("status").document["deployments"]
        return dict(status)

    def destroy(self) -> None:
        self.pack.run("destroy", "--yes")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    made = Deployment(tmp_path_factory.mktemp("life"))
    yield made
    made.destroy()


@pytest.fixture
def deployed(shared: Deployment) -> Deployment:
    """The module's deployment, brought to where it should be."""
    shared.pack.deploy()
    return shared


def test_a_crash_is_restarted_and_told(deployed: Deployment) -> None:
    before = deployed.server()
    os.kill(before["pid"], signal.SIGKILL)
    after = wait_for(lambda: (now := deployed.server())["state"] == "running" and now["pid"] != before["pid"] and now)
    assert after["exit"] == "was killed by SIGKILL, perhaps for lack of memory"
    assert after["port"] == before["port"]
    status = deployed.status()
    assert (status["state"], status["restarts"]) == ("running", 1)
    assert "the server was killed by SIGKILL" in "\n".join(status["detail"])
    assert greeting(deployed.pack.url()) == f"you {len(SECRET)}"


def test_a_server_that_asks_to_be_started_anew_has_not_crashed_however_often(deployed: Deployment) -> None:
    def runs(but: int = 0) -> Any:
        now = deployed.server()
        return now["state"] == "running" and now["pid"] != but and now["pid"]

    head = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    params = {"name": "die", "arguments": {"code": 75}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    before = wait_for(runs)
    crashes = deployed.server()["restarts"]
    for _ in range(6):
        request = urllib.request.Request(deployed.pack.url(), body, head)
        with contextlib.suppress(OSError, http.client.HTTPException):
            urllib.request.urlopen(request, timeout=20).close()
        before = wait_for(functools.partial(runs, before))
    assert deployed.server()["restarts"] <= crashes
    assert deployed.server()["exit"] == "exited with code 75"
    assert greeting(deployed.pack.url()) == f"you {len(SECRET)}"


def test_a_number_that_another_process_has_by_now_is_left_alone(deployed: Deployment) -> None:
    os.kill(deployed.daemon.state()["pid"], signal.SIGKILL)
    wait_for(lambda: not deployed.daemon.alive())
    state = read_json(deployed.places.run / "state.json")
    assert state is not None
    stranger = os.getpid()
    server = state["slots"]["server"]
    os.kill(server["pid"], signal.SIGKILL)
    server["pid"], server["birth"], state["pid"] = stranger, "1", stranger
    write_json(deployed.places.run / "state.json", state)
    assert deployed.status()["state"] == "stopped"
    deployed.pack.deploy()
    assert deployed.status()["state"] == "running"


def test_no_secret_is_written_but_to_its_own_file(deployed: Deployment) -> None:
    holding = [
        str(path.relative_to(deployed.places.root))
        for path in deployed.places.root.rglob("*")
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert [path.split("/")[:2] for path in holding] == [["secrets", "TOKEN"]]
    (secret,) = (deployed.places.root / path for path in holding)
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.parent.stat().st_mode & 0o777 == 0o700
    assert (SECRET in deployed.pack.run("plan").told) is False
    assert SECRET.encode() not in Path(f"/proc/{deployed.server()['pid']}/environ").read_bytes()


def test_a_changed_secret_counts_as_unchanged_until_it_is_pushed(deployed: Deployment) -> None:
    other = Pack(deployed.folder, "local", {**deployed.pack.environ, "TOKEN": "short"})
    assert other.deploy()["changed"] is False
    assert greeting(other.url()) == f"you {len(SECRET)}"


def test_a_log_is_kept_short(deployed: Deployment) -> None:
    deployed.write('log_size = "1Mi"')
    deployed.pack.deploy()
    log = deployed.places.log("server")
    try:
        with log.open("a") as handle:
            handle.write("a line that says little\n" * 50_000)
        os.kill(deployed.daemon.state()["pid"], signal.SIGHUP)
        wait_for(lambda: log.stat().st_size < 1_000_000)
        assert log.with_name("server.log.1").stat().st_size > 1_000_000
        greeting(deployed.pack.url())
        wait_for(lambda: "tools/call" in log.read_text())
    finally:
        deployed.write("")


def test_logs_reach_back_over_a_rotation(deployed: Deployment) -> None:
    log = deployed.places.log("server")
    log.with_name("server.log.1").write_text("the oldest\nthe older\n")
    log.write_text("now\n")
    lines = deployed.pack.run("logs", "--lines", "2").told
    assert "the older" in lines
    assert "now" in lines
    assert "the oldest" not in lines


def test_a_stale_lock_is_taken_over(deployed: Deployment) -> None:
    deployed.write("log_files = 1")
    holder = {
        "schema": 1,
        "who": "bob@there",
        "what": "deploy",
        "token": "x",
        "since": 1.0,
        "expires": time.time() + 60,
    }
    try:
        write_json(deployed.places.lock, holder)
        assert "bob@there holds the lock for deploy" in deployed.pack.run("destroy", "--yes", expect=(3,)).told
        write_json(deployed.places.lock, holder | {"expires": time.time() - 1})
        deployed.pack.deploy()
        assert not deployed.places.lock.exists()
        # One that died on this machine holds nothing any more, however long its lease.
        deployed.write("log_files = 2")
        dead = {"host": platform.node(), "pid": os.getpid(), "birth": "1"}
        write_json(deployed.places.lock, holder | dead)
        deployed.pack.deploy()
        assert not deployed.places.lock.exists()
    finally:
        deployed.write("")
        deployed.places.lock.unlink(missing_ok=True)


def test_a_server_that_keeps_dying_is_given_up_and_a_deploy_tries_again(deployed: Deployment) -> None:
    # A config that the runtime refuses: every restart ends at once.
    config = next(deployed.places.configs.glob("*.json"))
    good = config.read_text()
    config.write_text(json.dumps(json.loads(good) | {"nonsense": 1}))
    os.kill(deployed.server()["pid"], signal.SIGKILL)
    wait_for(lambda: deployed.server()["state"] == "crashed", 90)
    status = deployed.status()
    assert status["state"] == "crashed"
    assert status["restarts"] == 5
    assert any("nonsense" in line for line in status["detail"])
    assert deployed.pack.run("drift", expect=(4,))
    assert deployed.pack.deploy()["changed"] is True
    assert deployed.status()["state"] == "running"
    assert json.loads(config.read_text()) == json.loads(good)


def test_a_required_secret_that_is_missing_stops_before_anything_is_served(tmp_path: Path) -> None:
    made = Deployment(tmp_path)
    pack = Pack(made.folder, "local", {"MCP_PACK_HOME": str(tmp_path / "home"), "TOKEN": ""})
    answer = pack.run("deploy", "--yes", expect=(1,))
    assert "the secret TOKEN has no value: environment variable TOKEN is not there" in answer.told
    assert made.status()["state"] == "absent"
    made.destroy()
    assert not made.places.root.exists()


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with bound("127.0.0.1", 0) as taken:
        taken.listen()
        made = Deployment(tmp_path, f"port = {port_of(taken)}")
        answer = made.pack.run("deploy", "--yes", expect=(1,))
        assert f"cannot listen on 127.0.0.1 port {port_of(taken)}: Address already in use" in answer.told
        made.destroy()


def test_a_service_that_runs_nowhere_is_a_problem_with_the_fix(tmp_path: Path) -> None:
    made = Deployment(tmp_path)
    manifest = made.folder / "mcp-tool.toml"
    manifest.write_text(manifest.read_text() + '\n[services.store]\nimage = "redis:7"\nports = [6379]\n')
    answer = made.pack.run("plan", expect=(1,))
    assert "service store has no external address" in answer.told
    assert 'add external = "host:port"' in answer.told


def test_without_a_home_there_is_nothing_and_nothing_is_made(tmp_path: Path) -> None:
    made = Deployment(tmp_path)
    assert made.status()["state"] == "absent"
    made.pack.run("history")
    made.pack.run("drift")
    assert not (tmp_path / "home").exists()

"""How a deployment is told: services, a death and its last words, a watch, releases and what they changed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_targets.local.supervisor.machine import bound, port_of, write_json
from tests.cli.process import terminal
from tests.targets.test_local_life import Deployment, wait_for

_SERVICES = """
[services.store]
external = "127.0.0.1:{open}"

[services.queue]
external = "127.0.0.1:{shut}"
"""
_DIE = '''

@tool
def last_words() -> str:
    """Say something and die."""
    print("these were my last words", flush=True)
    os._exit(7)
'''


@pytest.fixture(scope="module")
def store() -> Iterator[socket.socket]:
    with bound("127.0.0.1", 0) as made:
        made.listen()
        yield made


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, store: socket.socket) -> Iterator[Deployment]:
    made = Deployment(tmp_path_factory.mktemp("status"))
    with bound("127.0.0.1", 0) as shut:
        manifest = made.folder / "mcp-tool.toml"
        manifest.write_text(manifest.read_text() + _SERVICES.format(open=port_of(store), shut=port_of(shut)))
        code = made.folder / "lively.py"
        code.write_text(code.read_text() + _DIE)
        made.pack.deploy()
        yield made
        made.destroy()


def text(made: Deployment, *words: str) -> str:
    """What a command prints for people."""
    argv = [word for word in made.pack.argv(*words) if word != "--json"]
    done = subprocess.run(argv, env={**os.environ, **made.pack.environ}, capture_output=True, text=True, check=True)
    return done.stdout


def test_status_says_what_runs_and_whether_its_services_answer(deployed: Deployment) -> None:
    status = deployed.status()
    assert (status["state"], status["replicas"], status["restarts"]) == ("running", "1/1", 0)
    assert {service["name"]: service["reachable"] for service in status["services"]} == {"queue": False, "store": True}
    shown = text(deployed, "status")
    for expected in (status["digest"], status["contract_hash"], status["endpoint"]["url"], "1/1"):
        assert expected in shown
    assert "service store at 127.0.0.1:" in shown
    assert "not reachable (Connection refused)" in shown


def test_a_death_is_told_with_its_last_words_though_the_server_is_back(deployed: Deployment) -> None:
    before = deployed.server()["pid"]
    deployed.pack.run("invoke", "last_words", expect=(0, 1, 3))
    wait_for(lambda: deployed.server()["state"] == "running" and deployed.server()["pid"] != before)
    status = deployed.status()
    assert status["state"] == "running"
    assert status["detail"][0] == "the server exited with code 7"
    assert any("these were my last words" in line for line in status["detail"])


def test_a_watch_prints_a_line_for_each_change(deployed: Deployment) -> None:
    deployed.pack.deploy()
    with deployed.pack.start("status", "--watch") as watch:
        assert watch.stdout is not None
        first = json.loads(watch.stdout.readline())
        assert first["command"] == "status"
        restarts = first["deployments"][0]["restarts"]
        os.kill(deployed.server()["pid"], signal.SIGKILL)
        while True:
            later = json.loads(watch.stdout.readline())["deployments"][0]
            if later["state"] == "running" and later["restarts"] == restarts + 1:
                break
        watch.send_signal(signal.SIGINT)
        watch.communicate(timeout=30)
        assert watch.returncode == 130


def test_a_watch_redraws_a_terminal(deployed: Deployment) -> None:
    place = ["--project", str(deployed.folder), "--target", "local"]
    with terminal("status", "--watch", *place, env={**deployed.pack.environ, "TERM": "xterm"}) as child:
        child.read_until("\x1b[2J")
        child.seen = ""
        drawn = child.read_until("service store")
        assert "\x1b[2J" in drawn or "target" in drawn
        child.process.send_signal(signal.SIGINT)
        assert child.end() == 130


def test_history_tells_what_each_release_changed_for_clients(tmp_path: Path) -> None:
    made = Deployment(tmp_path)
    code = made.folder / "lively.py"
    original = code.read_text()
    try:
        made.pack.deploy()
        code.write_text(original + "# the same for clients\n")
        made.pack.deploy()
        code.write_text(original + _DIE)
        made.pack.deploy()
        code.write_text(original.replace("def greet(name: str)", "def greet(name: str, loud: bool)"))
        made.pack.deploy("--allow-breaking")
        code.write_text("import sys\nif 'serve' in sys.argv:\n    raise SystemExit('no')\n" + original)
        made.pack.run("deploy", "--yes", "--allow-breaking", expect=(1,))
        lines = made.pack.run("history").document["releases"]["local"]
        assert [line["contract_change"] for line in lines] == [None, "none", "harmless", "breaking", "breaking"]
        assert [line["outcome"].partition(":")[0] for line in lines] == ["deployed"] * 4 + ["failed"]
        shown = text(made, "history").splitlines()
        assert shown[1].split()[-1] == "change"
        assert shown[3].split()[0] == "4*"
    finally:
        made.destroy()


def test_a_second_deploy_waits_until_the_lock_is_free(deployed: Deployment) -> None:
    holder = {"schema": 1, "who": "bob@there", "what": "deploy", "token": "x", "since": 1.0, "expires": 9e9}
    deployed.pack.deploy()
    code = deployed.folder / "lively.py"
    code.write_text(code.read_text() + "# another\n")
    write_json(deployed.places.lock, holder)
    told = deployed.pack.run("deploy", "--yes", "--wait", "0.5", expect=(3,)).told
    assert "bob@there holds the lock for deploy since 1970-01-01T00:00:01Z" in told
    with deployed.pack.start("deploy", "--yes", "--wait", "60") as waiting:
        assert waiting.stderr is not None
        assert "waiting for bob@there" in waiting.stderr.readline()
        deployed.places.lock.unlink()
        waiting.communicate(timeout=60)
        assert waiting.returncode == 0
    assert not deployed.places.lock.exists()

"""A client that starts the container itself: it is served, and nothing stays behind, however it goes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.image import docker_archive
from mcp_packager.testing import Pack, Project
from tests.containers.asking import daemon
from tests.containers.conftest import MINOR
from tests.containers.emitted import Emitted, build
from tests.containers.waiting import wait_for
from tests.sampling import sampled, whole

pytestmark = [pytest.mark.real("dockerd", "docker-registry", "base-image"), pytest.mark.xdist_group("docker")]

_CLIENT = Path(__file__).with_name("stdio_client.py")
_SECONDS = 60.0
_WAYS = ("closed", "killed", "killed with all it started")
_PROJECT = "com.docker.compose.project=stdio-counter-stdio"


def command_of(pack: Pack) -> list[str]:
    entry = pack.run("client-config", "--client", "claude-code").document["entry"]
    return [entry["command"], *entry["args"]]


def load(pack: Pack) -> str:
    """Bring the built image to the daemon; its name there."""
    folder = pack.project / "dist" / "docker"
    reference: str = json.loads((folder / "artifact.json").read_text())["facts"]["reference"]
    for line in daemon().api.load_image(docker_archive(folder / "image", [reference])):
        assert "error" not in line
    return reference


@contextmanager
def client(command: list[str], tool: str, arguments: dict[str, Any], **environ: str) -> Iterator[Any]:
    """A client in a process group of its own, after its first answer; ``answer`` is what it was told."""
    process = subprocess.Popen(
        [sys.executable, _CLIENT, tool, json.dumps(arguments), *command],
        env={**os.environ, **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        answer = process.stdout.readline().strip()
        try:
            assert answer, process.stderr.read()
            yield process, answer
        finally:
            process.kill()


def gone(label: str) -> None:
    """Wait until the daemon has no container of it, running or not."""
    api, deadline = daemon().api, time.monotonic() + _SECONDS
    while left := [each["Names"] for each in api.containers(all=True, filters=_filter(label))]:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.1)


def _filter(label: str) -> dict[str, str]:
    return {"ancestor": label} if "/" in label else {"label": label}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """A tool without services, at the daemon."""
    project = Project(tmp_path_factory.mktemp("stdio") / "suite", "docker", name="alone")
    project.write("1.0.0")
    pack = Pack(project.folder, "docker", {})
    pack.run("build")
    load(pack)
    return pack


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, mirror: str) -> Emitted:
    """A tool with a service, at the daemon."""
    made = build(tmp_path_factory.mktemp("stdio") / "counter", mirror, MINOR, name="stdio-counter")
    load(made.pack)
    return made


def test_the_container_of_a_client_is_hardened_too(alone: Pack) -> None:
    command = command_of(alone)
    assert command[0] == shutil.which("docker")
    with client(command, "greet", {"name": "you"}, GREETING="hello") as (_, answer):
        assert answer.startswith("hello, you")
        api = daemon().api
        (there,) = api.containers(filters={"ancestor": load(alone)})
        host = api.inspect_container(there["Id"])["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Init"]) == (True, ["ALL"], True)
        assert (host["SecurityOpt"], host["PidsLimit"]) == (["no-new-privileges"], 256)
        assert host["LogConfig"]["Type"] == "none"
        assert "noexec" in host["Tmpfs"]["/tmp"]
        assert host["PortBindings"] in ({}, None)


@pytest.mark.parametrize("way", _WAYS)
def test_no_container_is_left_behind(alone: Pack, way: str) -> None:
    reference = load(alone)
    with client(command_of(alone), "greet", {"name": "you"}) as (process, _):
        assert daemon().api.containers(filters={"ancestor": reference})
        end(process, way)
    gone(reference)


def end(process: subprocess.Popen[str], way: str) -> None:
    match way:
        case "closed":
            process.communicate("\n", timeout=_SECONDS)
            assert process.returncode == 0
        case "killed":
            process.kill()
        case _:
            for each in _descendants(process.pid):
                os.kill(each, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    """The process and those below it that are of its session or of one that a program before them began.

    What waits for the end in a session of its own is not killed by whoever kills what it knows.
    """
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            found += [child for child in map(int, task.read_text().split()) if not _watches(child)]
    return found


def _watches(pid: int) -> bool:
    return b"while read" in Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.real("docker-compose")
@pytest.mark.parametrize("way", sampled(_WAYS, 1, of="ways in which a client goes"))
def test_no_service_is_left_behind_and_data_stays(served: Emitted, way: str) -> None:
    command = command_of(served.pack)
    with client(command, "count", {"by": 1}, TOKEN="t") as (process, first):
        end(process, way)
    gone(_PROJECT)
    wait_for(lambda: daemon().api.networks(filters={"label": _PROJECT}) == [])
    with client(command, "count", {"by": 1}, TOKEN="t") as (process, second):
        end(process, "closed")
    gone(_PROJECT)
    assert int(second) == int(first) + 1


@pytest.mark.real("docker-compose")
@pytest.mark.skipif(not whole(), reason="runs with make test-all")
def test_a_client_that_goes_leaves_the_service_to_the_other(served: Emitted) -> None:
    command = command_of(served.pack)
    with client(command, "count", {"by": 0}, TOKEN="t") as (stays, before):
        with client(command, "count", {"by": 1}, TOKEN="t") as (goes, after):
            assert int(after) == int(before) + 1
            end(goes, "closed")
        api = daemon().api
        filters = {"label": "com.docker.compose.oneoff=True"}
        wait_for(lambda: len(api.containers(all=True, filters=filters)) == 1)
        time.sleep(0)
        assert api.containers(filters={"label": [_PROJECT, "com.docker.compose.service=store"]})
        end(stays, "closed")
    gone(_PROJECT)


def test_variables_go_in_by_name(tmp_path: Path) -> None:
    project = Project(tmp_path / "suite", "docker", name="keyed")
    project.write("1.0.0")
    with (project.folder / "mcp-tool.toml").open("a") as manifest:
        manifest.write('\n[secrets.WORD]\nfrom = "env:MY_WORD"\n')
    pack = Pack(project.folder, "docker", {"MY_WORD": "a-secret-value"})
    pack.run("build")
    said = pack.run("client-config", "--client", "claude-code")
    arguments = said.document["entry"]["args"]
    assert arguments[arguments.index("WORD") - 1] == "--env"
    assert said.document["entry"]["env"]["WORD"] == "${MY_WORD}"
    assert "a-secret-value" not in said.told
    assert any("the image must be where docker runs" in note for note in said.document["notes"])

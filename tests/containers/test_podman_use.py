"""Podman as people use it: services, crashes, secrets, its compose, its builder, clients over stdio."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.errors import PackError
from mcp_packager.image import docker_archive
from mcp_packager.testing import Pack
from mcp_packager.verify import McpClient, texts
from tests.containers import test_docker_services as services
from tests.containers.asking import daemon
from tests.containers.conftest import MINOR
from tests.containers.emitted import Emitted, build
from tests.containers.podman import Podman
from tests.containers.waiting import wait_for
from tests.image.registries import free_port
from tests.sampling import sampled

pytestmark = [
    pytest.mark.real("dockerd", "podman", "podman-compose", "docker-registry", "base-image"),
    pytest.mark.xdist_group("docker"),
    pytest.mark.timeout(600),
]

_CLIENT = Path(__file__).with_name("stdio_client.py")
_SECONDS = 120.0
_CHOSEN = sampled(("services", "compose", "build", "stdio"), 1, of="uses of Podman")


def use(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(name not in _CHOSEN, reason="another use of Podman was drawn")


@pytest.fixture(autouse=True, scope="module")
def _instead_of_docker(podman: Podman) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", podman.address)
        yield


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory, mirror: str) -> Emitted:
    folder = tmp_path_factory.mktemp("podman") / "counter"
    return build(folder, mirror, MINOR, name="podman-counter", options=f"port = {free_port()}")


def told(url: str, tool: str, **arguments: Any) -> str | None:
    """What a tool answers; ``None`` while nobody does."""
    with contextlib.suppress(PackError):
        return texts(McpClient(url, timeout=5).call_tool(tool, arguments))
    return None


@use("services")
def test_a_service_a_crash_and_a_secret(tmp_path: Path, mirror: str) -> None:
    pack = services.write(tmp_path / "pods", f"{mirror}/library/redis:7", services.COMMAND)
    manifest = pack.project / "mcp-tool.toml"
    text = manifest.read_text().replace('name = "counter"', 'name = "pods"')
    manifest.write_text(text + '\n[secrets.WORD]\nfrom = "env:POD_WORD"\n')
    secret = "a-word-that-nobody-sees"
    pack = Pack(pack.project, "docker", {"POD_WORD": secret})
    try:
        url = pack.deploy()["endpoint"]["url"]
        number = int(told(url, "count", by=2) or 0)
        (server,) = ours("container")
        seen = daemon().api.inspect_container(server["Id"])
        assert secret not in json.dumps(seen)
        mounts = {mount["Destination"]: mount for mount in seen["Mounts"]}
        assert mounts["/run/secrets/WORD"]["RW"] is False
        os.kill(seen["State"]["Pid"], 9)
        wait_for(lambda: told(url, "count", by=0) == str(number), _SECONDS)
        (service,) = ours("service")
        daemon().api.remove_container(service["Id"], force=True)
        pack.deploy()
        assert told(url, "count", by=0) == str(number)
        pack.run("drift")
    finally:
        pack.run("destroy", "--yes", "--data")
    assert [*ours("container"), *ours("service"), *ours("front")] == []


def ours(kind: str) -> list[dict[str, Any]]:
    label = {"label": ["mcp-pack/tool=pods", f"mcp-pack/kind={kind}"]}
    found: list[dict[str, Any]] = daemon().api.containers(all=True, filters=label)
    return found


@use("compose")
def test_its_compose_brings_all_up_and_away(podman: Podman, emitted: Emitted) -> None:
    folder = emitted.folder
    bring(podman, emitted)
    podman.run("podman-compose", "-p", "pods", "up", "-d", cwd=folder, TOKEN="word")
    try:
        (port,) = re.findall(r"127\.0\.0\.1:(\d+):8000", emitted.text("compose.yaml"))
        url = f"http://127.0.0.1:{port}/mcp"
        wait_for(lambda: told(url, "count", by=1) is not None, _SECONDS)
        assert told(url, "told") == "a$b word"
        # Without systemd nobody asks by himself.
        names = podman.run("podman", "ps", "--format", "{{.Names}}").split()
        for name in ("pods_store_1", "pods_podman-counter_1"):
            assert name in names
            podman.run("podman", "healthcheck", "run", name)
        (seen,) = json.loads(podman.run("podman", "inspect", "pods_podman-counter_1"))
        assert seen["HostConfig"]["ReadonlyRootfs"] is True
        assert seen["EffectiveCaps"] in ([], None)
    finally:
        podman.run("podman-compose", "-p", "pods", "down", "--volumes", cwd=folder, TOKEN="word")
    assert podman.run("podman", "ps", "--all", "--quiet", "--filter", "name=pods_") == ""


def bring(podman: Podman, emitted: Emitted) -> None:
    """Have its image there, as a deploy does."""
    archive = emitted.pack.project / "image.tar"
    with archive.open("wb") as file:
        file.writelines(docker_archive(emitted.folder / "image", [emitted.reference]))
    podman.run("podman", "load", "--quiet", "--input", str(archive))


@use("build")
def test_its_builder_makes_the_same_of_the_dockerfile(podman: Podman, emitted: Emitted) -> None:
    reference = "localhost/pods-built:1"
    podman.run(
        *("podman", "build", "--format", "docker", "--tls-verify=false", "--isolation", "chroot"),
        *("--tag", reference, "."),
        cwd=emitted.folder,
    )
    (seen,) = json.loads(podman.run("podman", "image", "inspect", reference))
    layout = emitted.folder / "image" / "blobs" / "sha256"
    wanted = json.loads((layout / emitted.artifact["facts"]["image"].removeprefix("sha256:")).read_text())["config"]
    for key in ("Entrypoint", "Cmd", "User", "WorkingDir", "StopSignal", "ExposedPorts"):
        assert seen["Config"][key] == wanted[key], key
    assert wanted["Labels"].items() <= seen["Config"]["Labels"].items()
    assert sorted(seen["Config"]["Env"]) == sorted(wanted["Env"])
    assert seen["Healthcheck"]["Test"][:2] == ["CMD", "python3"]
    # It runs: the command says what it serves.
    shown = podman.run("podman", "run", "--rm", "--entrypoint", "python3", reference, "-S", "-m", "mcp_tool", "--help")
    assert "serve" in shown
    podman.run("podman", "image", "rm", reference)


@use("stdio")
def test_a_client_over_stdio_leaves_nothing(podman: Podman, emitted: Emitted) -> None:
    bring(podman, emitted)
    command = ["sh", str(emitted.folder / "stdio.sh")]
    client = [sys.executable, str(_CLIENT), "count", json.dumps({"by": 1}), *command]
    environ = {**podman.environ, "TOKEN": "word", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    log = emitted.pack.project / "stdio.log"
    with (
        log.open("w") as file,
        subprocess.Popen(
            client, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline().strip().isdigit(), log.read_text()
        process.kill()
    assert "Failed to parse" not in log.read_text()  # what is no message of the protocol
    wait_for(lambda: podman.run("podman", "ps", "--all", "--quiet", "--filter", "name=podman-counter") == "", _SECONDS)

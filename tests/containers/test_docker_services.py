"""A tool with a service: started first, waited for, on a network of its own, its data kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.testing import Pack
from mcp_packager.verify import McpClient, texts
from tests.containers.asking import daemon, left_of

pytestmark = [pytest.mark.real("dockerd", "docker-registry", "base-image"), pytest.mark.xdist_group("docker")]

MANIFEST = """\
[tool]
name = "counter"
version = "1.0.0"
entrypoint = "counter_tool"

[services.store]
image = "{image}"
ports = [6379]
volume = {{ path = "/data" }}
provides = {{ STORE = "{{host}}:{{port}}" }}
resources = {{ memory = "96Mi" }}
{health}

[resources]
cpu = 0.5
memory = "160Mi"

[[verify.call]]
tool = "count"
arguments = {{ by = 0 }}

[target.docker]
keep = 2
"""

ROLES = ("container", "front", "service")
COMMAND = 'health = { command = ["redis-cli", "ping"], start = "20s" }'

CODE = '''\
import os
import socket

from mcp_tool import tool


@tool
def count(by: int) -> int:
    """Add to a number that the store keeps."""
    host, _, port = os.environ["STORE"].partition(":")
    with socket.create_connection((host, int(port)), 5) as store:
        store.sendall(f"INCRBY number {by}\\r\\n".encode())
        return int(store.recv(100).strip(b":\\r\\n"))
'''


@pytest.fixture(scope="module")
def image(mirror: str) -> str:
    return f"{mirror}/library/redis:7"


def write(folder: Path, image: str, health: str = "") -> Pack:
    folder.mkdir(exist_ok=True)
    (folder / "mcp-tool.toml").write_text(MANIFEST.format(image=image, health=health))
    (folder / "counter_tool.py").write_text(CODE)
    return Pack(folder, "docker", {})


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory, image: str) -> Iterator[Pack]:
    pack = write(tmp_path_factory.mktemp("project") / "counter", image, COMMAND)
    pack.deploy()
    yield pack
    pack.run("destroy", "--yes", "--data")


def count(pack: Pack, by: int) -> int:
    return int(texts(McpClient(pack.url()).call_tool("count", {"by": by})))


def ours(kind: str) -> list[dict[str, Any]]:
    label = {"label": ["mcp-pack/tool=counter", f"mcp-pack/kind={kind}"]}
    found: list[dict[str, Any]] = daemon().api.containers(all=True, filters=label)
    return found


def test_the_tool_finds_its_service_and_nobody_else_does(counter: Pack) -> None:
    before = count(counter, 0)
    assert count(counter, 2) == before + 2
    (service,) = ours("service")
    assert service["Ports"] == [] or all("PublicPort" not in port for port in service["Ports"])
    networks = {name for each in (*ours("service"), *ours("container")) for name in each["NetworkSettings"]["Networks"]}
    assert len(networks) == 1
    assert "bridge" not in networks


def test_what_hardens_every_container(counter: Pack) -> None:
    """Line by line as the daemon has it: what it does not say it does not do."""
    seen = {kind: daemon().api.inspect_container(each["Id"]) for kind in ROLES for (each,) in [ours(kind)]}
    for kind, found in seen.items():
        host = found["HostConfig"]
        assert host["Privileged"] is False, kind
        assert host["CapAdd"] is None, kind
        assert host["SecurityOpt"] == ["no-new-privileges"], kind
        assert host["Init"] is True, kind
        assert host["RestartPolicy"]["Name"] == "unless-stopped", kind
        assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10485760"}}, kind
        assert (host["PidMode"], host["IpcMode"], host["UTSMode"]) == ("", "private", ""), kind
        assert host["Devices"] in (None, []), kind
        assert not any("docker.sock" in mount["Source"] for mount in found["Mounts"]), kind
    for kind in ("container", "front"):
        found, host = seen[kind], seen[kind]["HostConfig"]
        assert found["Config"]["User"] == "65532:65532", kind
        assert host["ReadonlyRootfs"] is True, kind
        assert host["CapDrop"] == ["ALL"], kind
        assert host["PidsLimit"] == {"container": 256, "front": 64}[kind]
        assert [port["HostIp"] for ports in host["PortBindings"].values() for port in ports] == ["127.0.0.1"], kind
    tool, host = seen["container"], seen["container"]["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (160 << 20, 160 << 20, 500_000_000)
    assert host["Tmpfs"] == {"/tmp": "rw,noexec,nosuid,size=67108864"}
    assert all(not mount["RW"] for mount in tool["Mounts"])
    assert tool["Config"]["StopSignal"] == "SIGTERM"
    asked = tool["Config"]["Healthcheck"]
    assert (asked["Interval"], asked["Timeout"], asked["Retries"]) == (30_000_000_000, 5_000_000_000, 3)
    look = daemon().api.exec_create(tool["Id"], asked["Test"][1:])
    daemon().api.exec_start(look["Id"])
    assert daemon().api.exec_inspect(look["Id"])["ExitCode"] == 0
    store = seen["service"]
    assert store["HostConfig"]["Memory"] == 96 << 20
    assert store["HostConfig"]["PortBindings"] in ({}, None)
    assert store["Config"]["Healthcheck"]["Test"] == ["CMD", "redis-cli", "ping"]


def test_a_redeploy_leaves_the_service_and_its_data(counter: Pack) -> None:
    (before,) = ours("service")
    number = count(counter, 5)
    manifest = counter.project / "mcp-tool.toml"
    manifest.write_text(manifest.read_text().replace("1.0.0", "1.0.1"))
    assert counter.deploy()["changed"] is True
    (after,) = ours("service")
    assert after["Id"] == before["Id"]
    assert count(counter, 0) == number


def test_a_service_taken_away_comes_back_with_its_data(counter: Pack) -> None:
    number = count(counter, 1)
    (service,) = ours("service")
    daemon().api.remove_container(service["Id"], force=True)
    counter.run("drift", expect=(4,))
    counter.deploy()
    assert count(counter, 0) == number


def test_without_a_command_its_port_says_when_it_is_up(counter: Pack, image: str) -> None:
    write(counter.project, image)
    counter.deploy()
    assert count(counter, 0) >= 0


def test_data_stays_unless_it_is_said(counter: Pack) -> None:
    number = count(counter, 1)
    told = counter.run("destroy", "--yes").told
    assert "volume store" in told
    counter.deploy()
    assert count(counter, 0) == number


def test_a_service_that_never_comes_up_is_told_with_its_log(tmp_path: Path, image: str) -> None:
    command = 'command = ["/usr/bin/redis-server", "--port", "nonsense"]'
    health = 'health = { start = "1s", retries = 1, interval = "1s" }'
    pack = write(tmp_path / "never", image, f"{command}\n{health}")
    manifest = tmp_path / "never" / "mcp-tool.toml"
    manifest.write_text(manifest.read_text().replace('name = "counter"', 'name = "never"'))
    told = pack.run("deploy", "--yes", expect=(1,)).told
    assert "the service store did not come up" in told
    assert "nonsense" in told
    assert left_of("never") == {"release", "volume"}  # its data volume is there, and empty: it is not ours to judge
    pack.run("destroy", "--yes", "--data")


def test_an_image_that_is_not_there_is_told(tmp_path: Path, mirror: str) -> None:
    pack = write(tmp_path / "none", f"{mirror}/library/none:1")
    manifest = tmp_path / "none" / "mcp-tool.toml"
    manifest.write_text(manifest.read_text().replace('name = "counter"', 'name = "none"'))
    told = pack.run("deploy", "--yes", expect=(1,)).told
    assert "of the service store cannot be had" in told
    assert left_of("none") == {"release", "volume"}
    pack.run("destroy", "--yes", "--data")

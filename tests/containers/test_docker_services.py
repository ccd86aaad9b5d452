"""A tool with a service: started first, waited for, on a network of its own, its data kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.testing import Pack
from mcp_packager.verify import McpClient, texts
from tests.containers.asking import daemon

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
{health}

[[verify.call]]
tool = "count"
arguments = {{ by = 0 }}

[target.docker]
keep = 2
"""

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
    pack = write(tmp_path_factory.mktemp("project") / "counter", image)
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


def test_a_command_says_when_it_is_up(counter: Pack, image: str) -> None:
    write(counter.project, image, 'health = { command = ["redis-cli", "ping"], start = "20s" }')
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
    pack.run("destroy", "--yes", "--data")


def test_an_image_that_is_not_there_is_told(tmp_path: Path, mirror: str) -> None:
    pack = write(tmp_path / "none", f"{mirror}/library/none:1")
    manifest = tmp_path / "none" / "mcp-tool.toml"
    manifest.write_text(manifest.read_text().replace('name = "counter"', 'name = "none"'))
    told = pack.run("deploy", "--yes", expect=(1,)).told
    assert "of the service store cannot be had" in told
    pack.run("destroy", "--yes", "--data")

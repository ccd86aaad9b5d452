"""``mcp-pack run --reload --target docker``: a save reaches clients, and nothing stays when the command ends."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from pathlib import Path
from typing import BinaryIO

import pytest

from mcp_packager.errors import PackError
from mcp_packager.testing import Pack
from mcp_packager.verify import McpClient, texts
from tests.containers import test_docker_services as services
from tests.containers.asking import daemon
from tests.containers.waiting import wait_for
from tests.image.registries import free_port
from tests.sampling import sampled

pytestmark = [
    pytest.mark.real("dockerd", "docker-registry", "base-image"),
    pytest.mark.xdist_group("docker"),
    pytest.mark.timeout(600),
]

NAME = "tried"
_ENDS = [(signal.SIGINT, 0), (signal.SIGTERM, 0)]


def left() -> list[str]:
    """Everything of the tool at the daemon."""
    held, label = daemon(), {"label": [f"mcp-pack/tool={NAME}"]}
    return [
        *(each["Names"][0] for each in held.api.containers(all=True, filters=label)),
        *(each["Name"] for each in held.volumes(label)),
        *(each["Name"] for each in held.api.networks(filters=label)),
        *(each["Id"] for each in held.api.images(name=f"mcp-pack/{NAME}")),
    ]


@pytest.mark.parametrize(("number", "code"), sampled(_ENDS, 1, of="ends of a run on docker"))
def test_a_save_reaches_clients_and_nothing_stays(tmp_path: Path, mirror: str, number: int, code: int) -> None:
    pack = services.write(tmp_path / "tried", f"{mirror}/library/redis:7")
    manifest, program, port = pack.project / "mcp-tool.toml", pack.project / "counter_tool.py", free_port()
    manifest.write_text(manifest.read_text().replace('name = "counter"', f'name = "{NAME}"'))
    log = tmp_path / "log"

    def says(text: str) -> bool:
        assert running.poll() is None, log.read_text()
        with contextlib.suppress(PackError):
            return texts(McpClient(f"http://127.0.0.1:{port}/mcp", timeout=5).call_tool("count", {"by": 0})) == text
        return False

    with log.open("wb") as file, _started(pack, port, file) as running:
        try:
            wait_for(lambda: says("0"), 240)
            program.write_text(program.read_text().replace("return int(store", "return 40 + int(store"))
            wait_for(lambda: says("40"), 240)
        finally:
            running.send_signal(number)
            running.wait(90)
    assert running.returncode == code, log.read_text()
    assert "changed: counter_tool.py; deploying again" in log.read_text()
    assert left() == []


def _started(pack: Pack, port: int, log: BinaryIO) -> subprocess.Popen[bytes]:
    argv = [word for word in pack.argv("run", "--reload", "--port", str(port)) if word != "--json"]
    return subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT)

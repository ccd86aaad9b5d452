"""The target ``docker`` on Podman: the core of what every target promises, over Podman's Docker API."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_packager.testing import TargetSuite
from tests import real_parts
from tests.containers import test_docker
from tests.containers.test_docker_life import wait_for
from tests.sampling import sampled

pytestmark = [
    pytest.mark.real("dockerd", "podman", "docker-registry", "base-image"),
    pytest.mark.xdist_group("docker"),
]

_CORE = sampled(
    [
        "test_deploys_and_answers_in_both_eras",
        "test_again_does_nothing_and_says_so",
        "test_an_edit_is_planned_and_reaches_clients_who_notice_nothing",
        "test_rolls_back_without_a_client_noticing",
        "test_stages_live_side_by_side",
        "test_destroy_leaves_nothing_and_can_be_repeated",
    ],
    1,
    of="what is promised on Podman",
)

_SETTINGS = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
"""
"""What lets Podman run where its own runtime and root's limits are not to be had."""


@pytest.fixture(autouse=True, scope="module")
def podman() -> Iterator[str]:
    """Podman's socket in the place of Docker's, with images and state of its own."""
    # Podman takes no folder for its state whose path is longer than 50 characters.
    place = Path(tempfile.mkdtemp(prefix="mcp-pack-podman-", dir="/tmp"))
    address = Path(f"/tmp/mcp-pack-podman-{os.getpid()}.sock")
    (place / "containers.conf").write_text(_SETTINGS)
    base = [str(real_parts.PARTS["podman"]()), "--root", f"{place}/root", "--runroot", f"{place}/run"]
    environ = {**os.environ, "CONTAINERS_CONF": f"{place}/containers.conf"}
    with (place / "log").open("wb") as log:
        service = subprocess.Popen(
            [*base, "system", "service", "--time=0", f"unix://{address}"], stdout=log, stderr=log, env=environ
        )
    try:
        # Its first start prepares its storage, and the machine may be busy.
        wait_for(lambda: _answers(address), 90)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_HOST", f"unix://{address}")
            yield f"unix://{address}"
    finally:
        subprocess.run([*base, "rm", "--all", "--force", "--time", "1"], env=environ, check=False, capture_output=True)
        service.terminate()
        service.wait(30)
        address.unlink(missing_ok=True)
        subprocess.run([*base, "system", "reset", "--force"], env=environ, check=False, capture_output=True)
        _end_monitors(place)
        shutil.rmtree(place, ignore_errors=True)


def _end_monitors(place: Path) -> None:
    """End what watches over executed commands: Podman leaves each of them for five minutes after its command."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = entry.read_bytes().split(b"\0")
            if words[0].endswith(b"conmon") and any(str(place).encode() in word for word in words):
                os.kill(int(entry.parent.name), signal.SIGKILL)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


class TestPodman(test_docker.TestDocker):
    """The shared suite's core."""


for _name in set(dir(TargetSuite)) - set(_CORE):
    if _name.startswith("test_"):
        setattr(TestPodman, _name, None)

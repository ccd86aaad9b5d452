"""A deploy that is interrupted, and one that finds no room: clients are served, and the same command finishes it."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_packager.testing import Pack, Project, calling, greeting
from mcp_targets.local.places import Places
from tests.targets.test_local import places_of
from tests.targets.test_local_life import wait_for


def running(places: Places) -> bool:
    return places.lock.exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupt_lets_go_of_the_lock(deployed: tuple[Project, Pack], number: int, code: int) -> None:
    project, pack = deployed
    url = pack.url()
    project.write("2.0.0")
    with calling(url) as calls, pack.start("deploy", "--yes") as stopped:
        wait_for(lambda: running(places_of(pack)))
        stopped.send_signal(number)
        stdout, stderr = stopped.communicate(timeout=60)
    assert stopped.returncode == code, stdout + stderr
    assert "Traceback" not in stdout + stderr
    assert not running(places_of(pack))
    assert calls.failures == []
    assert pack.deploy()["version"] == "2.0.0"
    assert greeting(url).endswith("2.0.0.")
    assert pack.run("drift").code == 0


@pytest.mark.parametrize("limit", [200, 30_000])
def test_no_room_is_told_and_the_same_command_finishes_it(deployed: tuple[Project, Pack], limit: int) -> None:
    project, pack = deployed
    url = pack.url()
    project.write("2.0.0")
    with calling(url) as calls:
        done = subprocess.run(
            pack.argv("deploy", "--yes"),
            env={**os.environ, **pack.environ},
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),  # one thread
        )
    told = done.stdout + done.stderr
    # 1 where it is the child that reads the contract which finds no room, and so looks like the project's fault.
    assert done.returncode in {1, 3}, told
    assert "File too large" in told
    assert "to mend:" in told
    assert "fault of its own" not in told
    assert calls.failures == []
    assert set(calls.answers) == {"hello, you! This is 1.0.0."}
    assert pack.deploy()["version"] == "2.0.0"
    assert greeting(url).endswith("2.0.0.")
    assert pack.run("drift").code == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 160 MB, where this machine lets us have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160m", "none", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(file: int, disk: Path, left: int) -> None:
    """Let a file take all of a disk but ``left`` bytes; the server's log takes some of it meanwhile."""
    while True:
        free = os.statvfs(disk)
        try:
            os.posix_fallocate(file, 0, free.f_bavail * free.f_frsize - left)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        else:
            return


@pytest.mark.parametrize("room", [None, 16_384])
def test_a_full_disk_leaves_clients_their_server(tmp_path: Path, small_disk: Path, room: int | None) -> None:
    """``room`` is what is free beside a second bundle, in bytes; ``None``: nothing at all."""
    project = Project(tmp_path / "suite", "local")
    project.write("1.0.0")
    # The release is kept on the small disk; the store is elsewhere.
    pack = Pack(project.folder, "local", {"MCP_PACK_HOME": str(small_disk)})
    url = pack.deploy()["endpoint"]["url"]
    filler = small_disk / "filler"
    try:
        project.write("2.0.0")
        with filler.open("wb") as handle, calling(url) as calls:
            left = (
                0
                if room is None
                else room + sum(path.lstat().st_blocks * 512 for path in places_of(pack).bundles.rglob("*"))
            )
            fill(handle.fileno(), small_disk, left)
            began = time.monotonic()
            told = pack.run("deploy", "--yes", expect=(3,)).told
            assert time.monotonic() - began < 60
        assert "No space left on device" in told
        assert "ake room" in told
        assert calls.failures == []
        assert set(calls.answers) == {"hello, you! This is 1.0.0."}
        filler.unlink()
        assert pack.deploy()["version"] == "2.0.0"
        assert greeting(url).endswith("2.0.0.")
        assert pack.run("drift").code == 0
    finally:
        filler.unlink(missing_ok=True)
        pack.run("destroy", "--yes")

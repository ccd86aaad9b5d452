"""Podman with images, state and socket of its own, and what lets its programs be used as people use them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import real_parts
from tests.containers.waiting import wait_for

_SETTINGS = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "{place}/networks"
"""
"""What lets Podman run where its own runtime and root's limits are not to be had."""

_REGISTRIES = '[[registry]]\nlocation = "{mirror}"\ninsecure = true\n'
_NETWORKS = "/run/containers/networks"
"""Where root's Podman keeps addresses and name server of its networks, whatever it is told about its state."""
_MOUNTED = f'mkdir -p {_NETWORKS} && mount -t tmpfs none {_NETWORKS} && exec "$@"'
_FOUND_BY_NAME = ("dirname", "env", "flock", "setsid", "sh")
"""What ``stdio.sh`` calls, beside Podman's programs: a PATH of these has no Docker on it."""


@dataclass(frozen=True)
class Podman:
    """One Podman. ``place`` is its folder; ``environ`` is what its programs are to be run with.

    Root's Podman takes the machine to have one network, and keeps the state of its networks at one place. It would send
    the names of services to the name server of a run beside, which has another network, or to whatever process has the
    number that a killed run's had. So all of this Podman sees mounts of its own, and that place is empty in them.
    """

    place: Path
    environ: Mapping[str, str]

    @property
    def address(self) -> str:
        """What ``DOCKER_HOST`` is to be."""
        return f"unix://{self.place}/sock"

    def run(self, *arguments: str, cwd: Path | None = None, **environ: str) -> str:
        """Run one of its programs to its end; what it printed."""
        done = subprocess.run(
            arguments, cwd=cwd, env={**self.environ, **environ}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def serving(mirror: str) -> Iterator[Podman]:
    """Podman's socket, which takes images from the mirror without TLS. At the end nothing of it is left."""
    # Podman takes no folder for its state whose path is longer than 50 characters.
    place = Path(tempfile.mkdtemp(prefix="mcp-pack-podman-", dir="/tmp"))
    podman = Podman(place, _environ(place, mirror))
    command = [str(place / "podman"), "system", "service", "--time=0", podman.address]
    with (place / "log").open("wb") as log:
        service = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", _MOUNTED, "sh", *command],
            stdout=log,
            stderr=log,
            env={**podman.environ, "PATH": os.environ["PATH"]},
        )
    try:
        # Its first start prepares its storage, and the machine may be busy.
        wait_for(lambda: _answers(place / "sock"), 90)
        with Path(f"/proc/{service.pid}/ns/mnt").open() as mounts:  # they last for as long as somebody has them open
            _enter(place, mounts.fileno())
            try:
                yield podman
            finally:
                _quietly(podman, "rm", "--all", "--force", "--time", "1")
                service.terminate()
                service.wait(30)
                _quietly(podman, "system", "reset", "--force")
    finally:
        service.kill()
        service.wait(30)
        _end_monitors(place)
        shutil.rmtree(place, ignore_errors=True)


def _enter(place: Path, mounts: int) -> None:
    """Write the program that everybody calls: Podman, from where it was called, where the service's mounts are."""
    program = place / "bin" / "podman"
    inside = """'cd "$1" && shift && exec "$@"' sh "$PWD" """
    enter = f"{shutil.which('nsenter')} --mount=/proc/{os.getpid()}/fd/{mounts}"
    program.write_text(f'#!/bin/sh\nexec {enter} {shutil.which("sh")} -c {inside} {place}/podman "$@"\n')
    program.chmod(0o755)


def _environ(place: Path, mirror: str) -> dict[str, str]:
    (place / "containers.conf").write_text(_SETTINGS.format(place=place))
    (place / "registries.conf").write_text(_REGISTRIES.format(mirror=mirror))
    (place / "bin").mkdir()
    for name in _FOUND_BY_NAME:
        (place / "bin" / name).symlink_to(shutil.which(name) or name)
    (place / "bin" / "podman-compose").symlink_to(real_parts.PARTS["podman-compose"]())
    program = place / "podman"
    settings = f"export PATH={os.environ['PATH']} CONTAINERS_CONF={place}/containers.conf"
    registries = f"CONTAINERS_REGISTRIES_CONF={place}/registries.conf"
    state = f"--root {place}/root --runroot {place}/run"
    program.write_text(f'#!/bin/sh\n{settings} {registries}\nexec {real_parts.PARTS["podman"]()} {state} "$@"\n')
    program.chmod(0o755)
    # Docker's settings are another program's, and Podman would read them.
    ours = {name: value for name, value in os.environ.items() if name != "DOCKER_CONFIG"}
    return {**ours, "PATH": str(place / "bin")}


def _quietly(podman: Podman, *arguments: str) -> None:
    program = str(podman.place / "bin" / "podman")
    subprocess.run([program, *arguments], env=podman.environ, check=False, capture_output=True)


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

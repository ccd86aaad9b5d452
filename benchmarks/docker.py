"""A Docker daemon and a registry of the figures' own, on loopback, and what is asked of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.place import Place
from tests import real_parts
from tests.containers import bases
from tests.containers.dockerd import Dockerd
from tests.image import registries

MINOR: Final = "{}.{}".format(*sys.version_info)
_PROGRAM: Final = "/usr/bin/docker"
"""Debian's client: a newer one has no BuildKit of its own to offer to a daemon of version 20."""

_ALONE: Final = ("--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false")
"""No interface and no rule of a firewall: containers here have this machine's loopback, or nothing."""


@dataclass(frozen=True)
class Docker:
    """A daemon that runs, and a registry that has the base image.

    ``host`` is for ``DOCKER_HOST``, ``registry`` is ``host:port``, ``base`` the base image's name there.
    """

    host: str
    registry: str
    base: str
    folder: Path

    def env(self, **more: str) -> dict[str, str]:
        """The environment of a client that asks this daemon, with no settings of the user's."""
        return {**os.environ, "DOCKER_HOST": self.host, "DOCKER_CONFIG": str(self.folder / "docker-config"), **more}

    def run(self, *arguments: str | Path, buildkit: bool = False) -> str:
        """A command of the client; what it prints.

        Raises:
            RuntimeError: it failed; the end of its stderr is in the message.
        """
        env = self.env(DOCKER_BUILDKIT=str(int(buildkit)))
        done = subprocess.run([_PROGRAM, *arguments], env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"docker {' '.join(map(str, arguments))}\n{(done.stderr or done.stdout)[-2000:]}")
        return done.stdout

    def said(self, container: str) -> str:
        """What a container wrote so far."""
        command: list[str] = [_PROGRAM, "logs", container]
        done = subprocess.run(command, env=self.env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.stdout.decode(errors="replace")

    def build(self, context: Path, name: str, *, buildkit: bool = True, file: str = "Dockerfile") -> None:
        """Build a context of the sample with one of its Dockerfiles."""
        command = ["build", "--quiet", "--network", "none", "--build-arg", f"BASE={self.base}", "--tag", name]
        self.run(*command, "--file", context / file, context, buildkit=buildkit)

    def forget(self, *names: str) -> None:
        """Remove images and everything that builders keep; the base stays."""
        if names:
            self.run("rmi", "--force", *names)
        self.run("image", "prune", "--force")
        self.run("builder", "prune", "--all", "--force", buildkit=True)

    def manifest(self, name: str) -> dict[str, Any]:
        """The manifest of an image in the registry, by its name there."""
        from mcp_packager.image import Registry, parse

        reference = parse(name)
        found = Registry(reference).manifest(reference.wanted)
        if found is None:
            raise RuntimeError(f"{name} is not in the registry")
        return found.document

    def above_the_base(self, name: str) -> int:
        """Bytes of the layers above the base, as the registry holds them."""
        below = len(self.manifest(self.base)["layers"])
        return sum(int(layer["size"]) for layer in self.manifest(name)["layers"][below:])


def absent() -> str | None:
    """What the figures of images need and this machine lacks; ``None`` where it has all."""
    lacking = [why for name in ("dockerd", "docker-registry") if (why := real_parts.missing(name))]
    if os.geteuid():
        lacking.append("a daemon of one's own needs root")
    if not Path(_PROGRAM).is_file():
        lacking.append(f"no {_PROGRAM}; install docker.io")
    if MINOR not in bases.SUITES:
        lacking.append(f"there is no base image for Python {MINOR}; run this with one of {', '.join(bases.SUITES)}")
    elif not (bases.tar_of(MINOR).is_file() or bases.can_make()):
        lacking.append("no base image, and no mmdebstrap to make one with")
    return "; ".join(lacking) or None


@contextlib.contextmanager
def docker(place: Place) -> Iterator[Docker]:
    """Daemon and registry while the body runs. The daemon has the base image already."""
    bases.make(MINOR)
    folder = place.fresh()
    # A socket's path has 108 bytes at most.
    with tempfile.TemporaryDirectory(prefix="mcp-pack-docker-") as short:
        running = Dockerd(folder, Path(short) / "socket", _ALONE)
        with registries.registry(folder / "registry") as registry:
            bases.push(registry, MINOR)
            try:
                running.start()
                base = f"{registry}/library/python:{MINOR}-slim"
                made = Docker(running.address, registry, base, folder)
                made.run("pull", base)
                yield made
            finally:
                running.stop()
                # Where containers with this machine's network were, it leaves a mount behind.
                for mount in (folder / "exec" / "netns").glob("*"):
                    subprocess.run(["umount", mount], check=True)
                shutil.rmtree(folder / "data", ignore_errors=True)

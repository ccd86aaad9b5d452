"""The fake of AWS that `mcp_packager.testing.aws` is, with functions that run in AWS's own emulator.

Its rules stand there; here is only what takes the emulator, and the programs that unpack images.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from mcp_packager.testing import aws
from mcp_packager.testing.aws import ACCOUNT, ECR, REGION, Cloud, processes
from mcp_packager.testing.aws.running import Running
from mcp_packager.testing.aws.state import Version
from tests import real_parts
from tests.lambda_ import imaged
from tests.lambda_.emulator import emulated, started

__all__ = ["ACCOUNT", "REGION", "Cloud", "running"]

_WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"
"""The emulator knows no wrapper scripts and buffers answers: what streams runs as a plain process."""


@contextlib.contextmanager
def running(folder: Path, *, slow: int = 1, shy: int = 1, registry: str = ECR) -> Iterator[Cloud]:
    """Serve an account on loopback until the block ends; see :func:`mcp_packager.testing.aws.running`."""
    with aws.running(folder, slow=slow, shy=shy, registry=registry, start=_Emulator(folder).start) as cloud:
        yield cloud


class _Emulator:
    """Starts versions in AWS's emulator. An image is unpacked once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._images: dict[str, imaged.Unpacked] = {}
        self._lock = threading.Lock()

    def start(
        self, version: Version, log: Path, around: Mapping[str, str]
    ) -> contextlib.AbstractContextManager[Running]:
        """AWS's runtime for Python about a zip, or what the zip has in its place; an image's own program."""
        root = real_parts.lambda_emulator()
        if not version.code.image:
            minor = version.settings["Runtime"].removeprefix("python")
            python = real_parts.python(minor)
            if _WRAPPER in around:
                return processes.started(version, log, around, python=python)
            return emulated(root, Path(version.code.folder), python, minor, log, around)
        files = self._files(version.code.image)
        own = {name: value for name, value in around.items() if name != "TMPDIR"}
        return started(root, files.command(version.settings["ImageConfig"]), self._folder, log, {**files.env, **own})

    def _files(self, image: str) -> imaged.Unpacked:
        with self._lock:
            if image not in self._images:
                self._images[image] = imaged.fetched(image, self._folder / f"image-{len(self._images)}")
            return self._images[image]

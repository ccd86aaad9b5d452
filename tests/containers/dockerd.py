"""``dockerd`` with data, socket and process id of its own, which a test may stop, start again and put elsewhere."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests import real_parts

_SECONDS = 60.0


class Dockerd:
    """One daemon at one socket, ``at``. ``place`` is a folder for its data, its log and its process id.

    ``flags`` are more options of its command line.
    """

    def __init__(self, place: Path, at: Path, flags: Sequence[str] = ()) -> None:
        self._flags = flags
        self._place = place
        self._socket = at
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """What ``DOCKER_HOST`` is to be."""
        return f"unix://{self._socket}"

    def start(self, data: Path | None = None) -> None:
        """Start it, and wait until it answers; ``data`` is another folder for what it keeps."""
        root = data or self._place / "data"
        folders = [f"--data-root={root}", f"--exec-root={self._place}/exec", f"--pidfile={self._place}/pid"]
        program = real_parts.PARTS["dockerd"]()
        with (self._place / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, *folders, *self._flags, "--host", self.address], stdout=log, stderr=subprocess.STDOUT
            )
        self._until_up(self._process)

    def stop(self) -> None:
        """Stop it, and with it all that runs there."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None
        self._socket.unlink(missing_ok=True)

    @contextmanager
    def elsewhere(self, data: Path) -> Iterator[None]:
        """Have it keep its data in another folder while the body runs."""
        self.stop()
        self.start(data)
        try:
            yield
        finally:
            self.stop()
            self.start()

    def _until_up(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.05)
        raise AssertionError(f"dockerd is not up: {(self._place / 'log').read_text()[-2000:]}")

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(5)
            try:
                asking.connect(str(self._socket))
                asking.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in asking.recv(100)
            except OSError:
                return False

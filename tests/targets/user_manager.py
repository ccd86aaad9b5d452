"""A real systemd user manager of one's own, on a machine that something else booted.

systemd refuses to run as a user's manager where it did not boot the machine, which it tells by ``/run/systemd/system``
(sd_booted(3)). It gets a ``/run`` of its own, with that folder in it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from mcp_targets.local.unit import missing
from tests import real_parts

_START: Final = 'mount -t tmpfs none /run && mkdir -p /run/systemd/system && exec "$0" --user --log-target=console'
_SECONDS: Final = 30.0


class UserManager:
    """One user's units in a folder of their own. ``environ`` reaches it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        self.environ: Mapping[str, str] = {
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }

    def start(self) -> None:
        """Log in: it starts what is enabled."""
        from tests.targets.test_local_life import wait_for

        own = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **self.environ}
        with (self._folder / "manager.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", _START, str(real_parts.systemd())],
                env=own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_for(lambda: missing({**os.environ, **self.environ}) is None, _SECONDS)

    def stop(self) -> None:
        """Log out: it ends what it started."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def ask(self, *words: str) -> str:
        """What ``systemctl --user`` says."""
        done = subprocess.run(
            ["systemctl", "--user", "--no-pager", *words],
            env={**os.environ, **self.environ},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr


@contextmanager
def user_manager(folder: Path) -> Iterator[UserManager]:
    """A manager that runs while the body does."""
    made = UserManager(folder)
    try:
        made.start()
        yield made
    finally:
        with suppress(ProcessLookupError):
            made.stop()

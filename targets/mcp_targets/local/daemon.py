"""Speaking to the supervisor: start it, tell it what to run, wait for what comes of it, end it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import mcp_targets.local.supervisor
from mcp_packager.errors import Problem, WorldError
from mcp_targets.local.places import Places
from mcp_targets.local.supervisor.loop import SCHEMA, end_orphans, left_behind
from mcp_targets.local.supervisor.machine import birth, read_json, write_json

PASSED_ON: Final = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)  # fmt: skip
"""What a server sees of the environment of whoever deploys it; the rest stands in ``[env]``."""

_POLL: Final = 0.02
_END_SECONDS: Final = 45.0
_PATIENCE: Final = 2.0
"""Seconds after which a supervisor that says nothing is looked into."""
_TRIAL_BYTES: Final = 32 * 1024
_RUNNER: Final = "from mcp_targets.local.supervisor.loop import main\nimport sys\nsys.exit(main(sys.argv[1]))\n"


class Daemon:
    """The supervisor of one deployment, seen from outside."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._telling = threading.Lock()

    def alive(self) -> bool:
        """Whether it runs: whether its lock is held. No process number can deceive here."""
        try:
            lock = os.open(self._places.run / "supervisor.lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in {errno.EAGAIN, errno.EACCES}:
                return True
            raise
        finally:
            os.close(lock)
        return False

    def orphans(self) -> frozenset[int]:
        """The numbers of the servers that a supervisor left when it was killed."""
        return frozenset(pid for pid, _ in left_behind(self._places.run)) if not self.alive() else frozenset()

    def state(self) -> Mapping[str, Any]:
        """What it said last; nothing where it never spoke."""
        return read_json(self._places.run / "state.json") or {}

    def slot(self, name: str) -> Mapping[str, Any]:
        """What it said last of one slot."""
        found: Mapping[str, Any] = self.state().get("slots", {}).get(name, {})
        return found

    def wanted(self, name: str) -> Mapping[str, Any] | None:
        """What it was last told to run in a slot."""
        found: Mapping[str, Any] | None = self._want()["slots"].get(name)
        return found

    def start(self, python: Path, environ: Mapping[str, str]) -> None:
        """Start it, if it does not run.

        Raises:
            WorldError: it does not start.
        """
        if self.alive():
            return
        self._places.run.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._places.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        code = self._copy()
        log = os.open(self._places.log("supervisor"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            started = subprocess.run(
                [str(python), "-I", "-S", "-B", str(code), str(self._places.run)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._places.root,
                env={name: environ[name] for name in PASSED_ON if name in environ},
                start_new_session=True,
                timeout=_END_SECONDS,
                check=False,
            )
            code_of_start: int | str = started.returncode
        except (OSError, subprocess.TimeoutExpired) as error:
            code_of_start = str(error)
        finally:
            os.close(log)
        if code_of_start != 0 and not self.alive():
            raise WorldError(
                Problem(
                    f"the supervisor did not start with {python} ({code_of_start})",
                    f"look at {self._places.log('supervisor')}",
                )
            )

    def tell(self, slot: str, spec: Mapping[str, Any] | None) -> int:
        """Tell it what a slot should run (``None``: nothing). Answers the number by which it shows that it knows."""
        # Two slots may be told at once; no order may get lost.
        with self._telling:
            want = self._want()
            want["generation"] += 1
            want["slots"][slot] = spec
            write_json(self._places.run / "want.json", want)
        self._signal(signal.SIGHUP)
        number: int = want["generation"]
        return number

    def settled(self, slot: str, generation: int, seconds: float, *, moved: bool = True) -> Mapping[str, Any]:
        """Wait until it has done what it was told, or could not; answer the slot.

        With ``moved`` it is done only when the server before takes no more connections.

        Raises:
            WorldError: it died, or took longer than ``seconds``.
            OSError: the disk is full, so that it can say nothing.
        """
        deadline = time.monotonic() + seconds
        look_at_disk = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            state = self.state()
            if state.get("generation", -1) < generation and time.monotonic() > look_at_disk:
                look_at_disk += _PATIENCE
                self._try_to_write()
            if state.get("generation", -1) >= generation:
                found: Mapping[str, Any] = state["slots"][slot]
                spec = self.wanted(slot)
                revision = None if spec is None else spec["revision"]
                if found["failed"] == revision or found["state"] in {"crashed", "failed"}:
                    return found
                arrived = found["revision"] == revision and found["coming"] is None
                arrived = arrived and not (moved and found.get("yielding"))
                if arrived and found["state"] in {"running", "stopped"}:
                    return found
            if not self.alive():
                raise WorldError(
                    Problem("the supervisor died", f"look at {self._places.log('supervisor')}, and deploy again")
                )
            time.sleep(_POLL)
        raise WorldError(Problem(f"the {slot} was not there within {seconds:g} s", f"look at {self._places.log(slot)}"))

    def end(self) -> None:
        """End it and the servers it runs.

        Raises:
            WorldError: it does not end.
        """
        deadline = time.monotonic() + _END_SECONDS
        while self.alive():
            self._signal(signal.SIGTERM if time.monotonic() < deadline - 5 else signal.SIGKILL)
            if time.monotonic() > deadline:
                raise WorldError(Problem("the supervisor does not end", "end it by hand", found=str(self.state())))
            time.sleep(_POLL)
        end_orphans(self._places.run)

    def _try_to_write(self) -> None:
        """Find out why it says nothing: on a full disk it cannot."""
        trial = self._places.run / ".trial"
        try:
            trial.write_bytes(bytes(_TRIAL_BYTES))
        finally:
            trial.unlink(missing_ok=True)

    def _want(self) -> dict[str, Any]:
        found = read_json(self._places.run / "want.json")
        if found is None or found.get("schema") != SCHEMA:
            return {"schema": SCHEMA, "generation": 0, "slots": {}}
        return found

    def _signal(self, number: int) -> None:
        """Signal the process that holds the lock, and no other that may have its number by now."""
        state = self.state()
        pid = state.get("pid")
        if isinstance(pid, int) and state.get("birth") and birth(pid) == state["birth"]:
            os.kill(pid, number)

    def _copy(self) -> Path:
        """The supervisor's code beside the deployment, so that it outlives the packager's environment."""
        code = self._places.run / "supervisor"
        package = code / "mcp_targets" / "local" / "supervisor"
        shutil.rmtree(code, ignore_errors=True)
        package.mkdir(parents=True)
        for source in sorted(Path(mcp_targets.local.supervisor.__path__[0]).glob("*.py")):
            shutil.copyfile(source, package / source.name)
        (code / "__main__.py").write_text(_RUNNER, encoding="utf-8")
        return code

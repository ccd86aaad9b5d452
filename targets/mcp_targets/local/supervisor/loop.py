"""The supervisor's life: a daemon that looks at what is wanted, moves each slot on, and says what is."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import time
from pathlib import Path

from mcp_targets.local.supervisor.machine import birth, read_json, regained, write_json
from mcp_targets.local.supervisor.process import Orphan
from mcp_targets.local.supervisor.slot import Slot

SCHEMA = 1
TICK = 0.03
"""Seconds between two looks while something is under way."""
HURRY = 0.002
"""The same while clients find nobody."""
IDLE = 5.0
"""Seconds between two looks otherwise; signals come through at once."""
ORPHAN_SECONDS = 10.0


class Supervisor:
    """Runs the servers of one deployment. ``run`` is the folder of ``want.json`` and ``state.json``."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._slots = {"server": Slot(), "candidate": Slot()}
        self._generation = -1
        self._since = time.time()
        self._birth = birth(os.getpid())
        self._stopping = False
        self._said = ""
        self._wake, wake = os.pipe()
        for end in (self._wake, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def adopt(self) -> int | None:
        """Take on the server that a supervisor before us left, if it still serves what is wanted. Answer its number."""
        left = (read_json(self._run / "state.json") or {}).get("slots", {}).get("server", {})
        want = (read_json(self._run / "want.json") or {}).get("slots", {}).get("server")
        pid = left.get("pid")
        if want is None or left.get("spec") is None or not pid or birth(pid) != left["birth"]:
            return None
        number = left["public_fd"]
        public = None if number is None else regained(pid, number, left["port"])
        self._slots["server"].adopt(Orphan(left, public))
        return int(pid)

    def serve(self) -> None:
        """Run until SIGTERM; then end the servers, and only then return."""
        while not self._stopping:
            self._look()
            self._sleep(busy=self._tick())
        for slot in self._slots.values():
            slot.want(None)
        while self._tick():
            self._sleep(busy=True)
        self.say()

    def say(self) -> None:
        """Write ``state.json``, if it would say something new."""
        document = {
            "schema": SCHEMA,
            "pid": os.getpid(),
            "birth": self._birth,
            "since": self._since,
            "generation": self._generation,
            "slots": {name: slot.report() for name, slot in self._slots.items()},
        }
        said = json.dumps(document, sort_keys=True)
        if said != self._said:
            # A folder that is being removed, or a full disk, is no reason to leave the servers alone.
            with contextlib.suppress(OSError):
                write_json(self._run / "state.json", document)
                self._said = said

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _tick(self) -> bool:
        busy = [slot.tick() for slot in self._slots.values()]
        return any(busy)

    def _look(self) -> None:
        want = read_json(self._run / "want.json")
        if want is None or want.get("schema") != SCHEMA or want["generation"] == self._generation:
            return
        self._generation = want["generation"]
        for name, slot in self._slots.items():
            spec = want["slots"].get(name)
            if spec != slot.spec or slot.state in {"crashed", "failed"}:
                slot.want(spec)

    def _sleep(self, *, busy: bool) -> None:
        self.say()
        hurries = any(slot.hurries for slot in self._slots.values())
        select.select([self._wake], [], [], HURRY if hurries else TICK if busy else IDLE)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)


def left_behind(run: Path) -> list[tuple[int, str]]:
    """The servers, by number and birth, that still run of those which a supervisor spoke of last."""
    state = read_json(run / "state.json") or {}
    slots = state.get("slots", {}).values()
    known = [pair for slot in slots for pair in ([slot["pid"], slot["birth"]], *slot["going"], slot["coming"]) if pair]
    return [(pid, born) for pid, born in known if pid and born and birth(pid) == born]


def end_orphans(run: Path, but: int | None = None) -> None:
    """End the servers of a supervisor that was killed, all ``but`` one: nobody watches them."""
    left = [(pid, born) for pid, born in left_behind(run) if pid != but]
    deadline = time.monotonic() + ORPHAN_SECONDS
    for pid, _ in left:
        _signal(pid, signal.SIGTERM)
    while left:
        time.sleep(TICK)
        left = [(pid, born) for pid, born in left if birth(pid) == born]
        if time.monotonic() > deadline:
            for pid, _ in left:
                _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def main(folder: str) -> int:
    """Become a daemon that holds the lock.

    The process that was started ends when that is so, with 0; with 3 if another supervisor holds it.
    """
    run = Path(folder)
    told, tell = os.pipe()
    if os.fork():
        os.close(tell)
        return 0 if os.read(told, 1) == b"+" else 3
    os.close(told)
    lock = os.open(run / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os._exit(3)
    supervisor = Supervisor(run)
    end_orphans(run, but=supervisor.adopt())
    supervisor.say()
    os.write(tell, b"+")
    os.close(tell)
    supervisor.serve()
    os._exit(0)

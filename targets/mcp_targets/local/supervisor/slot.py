"""One place a server can be in: what it should run, what runs, what is coming, what is going."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

from mcp_targets.local.supervisor.machine import bound, last_lines, port_of, rotate, trim
from mcp_targets.local.supervisor.process import Orphan, Process

MOST_RESTARTS = 5
CALM_SECONDS = 60.0
"""A server that ran this long starts again with a clean record."""
SHOWN_LINES = 10
"""Of a log, kept of a server that died."""
RECYCLED = "exited with code 75"
"""How a server ends that asks to be started anew: it has lost threads to calls that never came back (EX_TEMPFAIL)."""
FIRST_PAUSE = 0.25
"""Seconds before the first restart; doubles each time."""


class Slot:
    """A server's place. ``want`` says what should run; ``tick`` moves towards it."""

    def __init__(self) -> None:
        self.spec: dict[str, Any] | None = None
        self.state = "stopped"
        self._public: socket.socket | None = None
        self._current: Process | Orphan | None = None
        self._coming: Process | None = None
        self._going: list[Process | Orphan] = []
        self._yielding: list[Process | Orphan] = []
        self._restarts = 0
        self._again_at = 0.0
        self._restarting = False
        self._error = ""
        self._failed = ""
        self._exit = ""
        self._lines: list[str] = []

    def adopt(self, orphan: Orphan) -> None:
        """Begin with the server of a supervisor that was killed; one of our own follows it as soon as it is ready."""
        self._current, self.state = orphan, "running"
        self._public = orphan.public

    def want(self, spec: dict[str, Any] | None) -> None:
        """Begin to move to another spec, or to nothing."""
        self._drop_coming()
        self.spec, self._error, self._failed = spec, "", ""
        self._restarts, self._again_at, self._restarting = 0, 0.0, False
        if spec is None:
            self._retire_current()
            self._use(None)
            self.state = "stopped"
        elif not isinstance(self._current, Process) or self._current.spec != spec:
            self._begin(spec)

    def tick(self) -> bool:
        """Move on; say whether anything is under way."""
        self._going = [process for process in self._going if process.runs()]
        for process in self._going:
            process.press()
        self._yielding = [process for process in self._yielding if process in self._going and process.accepts()]
        if self._coming is not None:
            self._look_at(self._coming)
        elif self._current is not None and not self._current.runs():
            self._crashed(self._current)
        elif self._current is None and self.spec is not None and 0 < self._again_at <= time.monotonic():
            self._again_at = 0.0
            self._begin(self.spec)
        if self._current is not None:
            trim(Path(self._current.spec["log"]), self._current.spec["log_bytes"])
        return bool(self._coming or self._going or self._again_at or isinstance(self._current, Orphan))

    @property
    def hurries(self) -> bool:
        """Whether clients find nobody until a server that is in the way has gone."""
        return self._again_at > 0 and self._blocked()

    def report(self) -> dict[str, Any]:
        """The slot as ``state.json`` tells it."""
        shown = self._current or self._coming
        coming = self._coming
        spec = self._current.spec if self._current is not None else self.spec
        return {
            "fields": None if spec is None else spec["fields"],
            "spec": None if self._current is None else self._current.spec,
            "public_fd": None if self._current is None else self._current.public_fd,
            "revision": None if self._current is None else self._current.spec["revision"],
            "state": self.state,
            "pid": None if shown is None else shown.pid,
            "birth": None if shown is None else shown.birth,
            "since": None if shown is None else shown.since,
            "port": None if self._public is None else port_of(self._public),
            "private_port": None if shown is None else shown.port,
            "restarts": self._restarts,
            "error": self._error,
            "failed": self._failed,
            "exit": self._exit,
            "lines": self._lines,
            "yielding": len(self._yielding),
            "going": [[process.pid, process.birth] for process in self._going],
            "coming": None if coming is None else [coming.pid, coming.birth],
        }

    def _begin(self, spec: dict[str, Any]) -> None:
        try:
            public = self._socket(spec)
        except OSError as error:
            if not self._evicts():
                self._fail(spec, f"cannot listen on {spec['host']} port {spec['port']}: {error.strerror or error}")
            return
        try:
            if self._current is None:
                rotate(Path(spec["log"]), spec["log_files"])
                self.state = "starting"
            self._coming = Process(spec, public)
        except OSError as error:
            self._forget(public)
            self._fail(spec, f"{spec['argv'][0]} cannot be started: {error.strerror or error}")

    def _socket(self, spec: dict[str, Any]) -> socket.socket | None:
        if not spec["port"]:
            return None
        if self._public is not None and port_of(self._public) == spec["port"]:
            return self._public
        made = bound(spec["host"], spec["port"])
        if self._blocked():
            made.listen()  # whoever comes between the orphan and its successor waits for that, and is not refused
        return made

    def _evicts(self) -> bool:
        """Whether an orphan whose socket we do not have is in the way; it is told to go, and we try again at once."""
        if isinstance(self._current, Orphan) and self._current.public is None:
            self._retire_current()
            self.state = "starting"
        if self._blocked():
            self._again_at = time.monotonic()
        return self._blocked()

    def _blocked(self) -> bool:
        """Whether a server is on its way out whose socket we do not have."""
        return any(isinstance(process, Orphan) and process.public is None for process in self._going)

    def _look_at(self, coming: Process) -> None:
        if not coming.runs():
            self._coming = None
            self._forget(coming.public)
            self._not_ready(coming, f"the server {coming.ended} before it was ready")
        elif coming.ready():
            self._coming = None
            self._retire_current()
            self._use(coming.public)
            self._current, self.state = coming, "running"
        elif coming.late():
            self._drop_coming()
            self._not_ready(coming, f"the server was not ready within {coming.spec['start_seconds']:g} s")

    def _not_ready(self, process: Process, error: str) -> None:
        self._remember(process)
        if self._restarting and self._current is None:
            self._later(error)
        else:
            self._fail(process.spec, error)

    def _fail(self, spec: dict[str, Any], error: str) -> None:
        """The new revision did not come up: stay with what runs, if anything does."""
        self._error, self._failed = error, spec["revision"]
        if self._current is None:
            self.state = "failed"
            self._use(None)
        else:
            self.spec = self._current.spec

    def _remember(self, process: Process | Orphan) -> None:
        """How it ended and what it wrote last; a restart begins a log anew."""
        self._exit = process.ended or ""
        self._lines = last_lines(Path(process.spec["log"]), SHOWN_LINES)

    def _crashed(self, process: Process | Orphan) -> None:
        self._remember(process)
        if time.time() - process.since > CALM_SECONDS:
            self._restarts = 0
        self._current = None
        # One that asks to be started anew has served to its end: it is no crash, however often that is so.
        self._later(f"the server {process.ended}", counts=process.ended != RECYCLED)

    def _later(self, error: str, *, counts: bool = True) -> None:
        self._error = error
        if counts and self._restarts >= MOST_RESTARTS:
            # Whoever connects now should be refused, not kept waiting for a server that does not come.
            self.state = "crashed"
            self._use(None)
            return
        self._again_at = time.monotonic() + FIRST_PAUSE * 2**self._restarts
        self._restarts += counts
        self._restarting = True
        self.state = "starting"

    def _retire_current(self) -> None:
        if self._current is not None:
            self._current.stop()
            self._going.append(self._current)
            self._yielding.append(self._current)
            self._current = None

    def _drop_coming(self) -> None:
        if self._coming is not None:
            self._coming.stop()
            self._going.append(self._coming)
            self._forget(self._coming.public)
            self._coming = None

    def _use(self, public: socket.socket | None) -> None:
        """Hold this socket for clients from now on, and no other."""
        if self._public is not None and self._public is not public:
            self._public.close()
        self._public = public

    def _forget(self, public: socket.socket | None) -> None:
        """Let go of a socket that did not come into use."""
        if public is not None and public is not self._public:
            public.close()

"""One started server: its sockets, its log, its end."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from typing import Any

from mcp_targets.local.supervisor.machine import birth, bound, exit_words, port_of


class Process:
    """A server process. ``spec`` says how it is started; ``public`` is the socket that clients connect to.

    It also listens on a private socket of its own, which tells its readiness from that of its predecessor.
    """

    def __init__(self, spec: dict[str, Any], public: socket.socket | None) -> None:
        self.spec = spec
        self.public = public
        self.ended: str | None = None
        # Only the server keeps the private socket: once nobody accepts there, it accepts nowhere.
        with bound(spec["host"], 0) as private:
            self.port = port_of(private)
            self._child = self._start(private)
        self.pid = self._child.pid
        self.birth = birth(self.pid)
        self.since = time.time()
        self._ready_by: float = time.monotonic() + spec["start_seconds"]
        self._gone_by: float = 0.0

    def _start(self, private: socket.socket) -> subprocess.Popen[bytes]:
        sockets = [made for made in (self.public, private) if made is not None]
        passed = [made.fileno() for made in sockets]
        argv = [*self.spec["argv"], *(word for number in passed for word in ("--fd", str(number)))]
        log = os.open(self.spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=passed,
                env={**os.environ, **self.spec["env"]},
                start_new_session=True,
            )
        finally:
            os.close(log)

    def runs(self) -> bool:
        """Whether it still runs; once it does not, ``ended`` says why."""
        if self.ended is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.ended = exit_words(status)
                self._child.returncode = os.waitstatus_to_exitcode(status)
                # What it started and left behind goes with it.
                self._signal_group(signal.SIGKILL)
        return self.ended is None

    def ready(self) -> bool:
        """Whether it says so itself, on the socket that is its alone."""
        connection = http.client.HTTPConnection(self.spec["host"], self.port, timeout=1)
        try:
            connection.request("GET", self.spec["ready"])
            status: int = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return False
        else:
            return status == 200
        finally:
            connection.close()

    def accepts(self) -> bool:
        """Whether it still takes new connections."""
        try:
            socket.create_connection((self.spec["host"], self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def late(self) -> bool:
        """Whether its time to become ready is over."""
        return time.monotonic() > self._ready_by

    def stop(self) -> None:
        """Ask it to finish what it has; :meth:`press` ends it when its time is over."""
        self._gone_by = time.monotonic() + self.spec["stop_seconds"]
        # Only the server itself: what it started for a call in flight is still needed.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, signal.SIGTERM)

    def press(self) -> None:
        """Kill it and all it started, if it was asked to stop and its time is over."""
        if time.monotonic() > self._gone_by:
            self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

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
    ``public_fd`` is the number that the public socket has in the server; ``port`` is that of the private one.
    """

    def __init__(self, spec: dict[str, Any], public: socket.socket | None) -> None:
        self.spec = spec
        self.public = public
        self.public_fd = None if public is None else public.fileno()
        self.ended: str | None = None
        # Only the server keeps the private socket: once nobody accepts there, it accepts nowhere.
        with bound(spec["host"], 0) as private:
            self.port = port_of(private)
            self._child = _start(spec, [made for made in (public, private) if made is not None])
        self.pid = self._child.pid
        self.birth = birth(self.pid)
        self.since = time.time()
        self._ready_by: float = time.monotonic() + spec["start_seconds"]
        self._end = End(self.pid)

    def runs(self) -> bool:
        """Whether it still runs; once it does not, ``ended`` says why."""
        if self.ended is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.ended = exit_words(status)
                self._child.returncode = os.waitstatus_to_exitcode(status)
                # What it started and left behind goes with it.
                self._end.kill()
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
        return accepts(self.spec["host"], self.port)

    def late(self) -> bool:
        """Whether its time to become ready is over."""
        return time.monotonic() > self._ready_by

    def stop(self) -> None:
        """Ask it to finish what it has; :meth:`press` ends it when its time is over."""
        self._end.ask(self.spec["stop_seconds"])

    def press(self) -> None:
        """Kill it and all it started, if it was asked to stop and its time is over."""
        self._end.press()


class Orphan:
    """A server that a supervisor before us started and left when it was killed: no child of ours, known by its birth.

    ``report`` is what that supervisor said of its slot; ``public`` is the socket, where we were given it.
    """

    def __init__(self, report: dict[str, Any], public: socket.socket | None) -> None:
        self.spec: dict[str, Any] = report["spec"]
        self.public = public
        self.public_fd: int | None = report["public_fd"]
        self.ended: str | None = None
        self.port: int = report["private_port"]
        self.pid: int = report["pid"]
        self.birth: str | None = report["birth"]
        self.since: float = report["since"]
        self._end = End(self.pid)

    def runs(self) -> bool:
        """Whether it still runs."""
        if self.ended is None and birth(self.pid) != self.birth:
            self.ended = "ended, and was no child of this supervisor, which so cannot say how"
        return self.ended is None

    def accepts(self) -> bool:
        """Whether it still takes new connections."""
        return accepts(self.spec["host"], self.port)

    def stop(self) -> None:
        """Ask it to finish what it has; :meth:`press` ends it when its time is over."""
        if self.runs():
            self._end.ask(self.spec["stop_seconds"])

    def press(self) -> None:
        """Kill it and all it started, if it was asked to stop and its time is over."""
        if self.runs():
            self._end.press()


class End:
    """How a server is ended, which leads a group of its own."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._by = 0.0

    def ask(self, seconds: float) -> None:
        """Tell the server alone: what it started for a call in flight is still needed."""
        self._by = time.monotonic() + seconds
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self._pid, signal.SIGTERM)

    def press(self) -> None:
        """Kill, if it was asked and the seconds are over."""
        if self._by and time.monotonic() > self._by:
            self.kill()

    def kill(self) -> None:
        """Kill it and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)


def accepts(host: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _start(spec: dict[str, Any], sockets: list[socket.socket]) -> subprocess.Popen[bytes]:
    passed = [made.fileno() for made in sockets]
    argv = [*spec["argv"], *(word for number in passed for word in ("--fd", str(number)))]
    log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=passed,
            env={**os.environ, **spec["env"]},
            start_new_session=True,
        )
    finally:
        os.close(log)

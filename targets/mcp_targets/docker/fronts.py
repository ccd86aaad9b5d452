"""The front: a container of its own that publishes the port, and sends connections where the deploy last said."""

from __future__ import annotations

import json
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from mcp_packager.target import Resource, Value
from mcp_targets.docker.containers import PAUSE, PYTHON, Containers, log_config
from mcp_targets.docker.daemon import USER, Daemon
from mcp_targets.docker.hosted import BESIDE
from mcp_targets.docker.ports import Ports
from mcp_targets.docker.render import FRONT, PORT, SERVER
from mcp_targets.docker.server import STOP_SECONDS as SERVER_STOP_SECONDS

_STOP_SECONDS: Final = 12
_SECONDS: Final = 60.0
"""As long as a server may take to start where nothing else is said: a machine that is slow is so for both."""
_FOLDER: Final = "/run/front"
_STATE: Final = f"{_FOLDER}/state"
_FRONT: Final = (*PYTHON, "-m", "mcp_tool.front")
_LIBRARY: Final = "lib"
"""Where in its volume the front's program is, if the image that it runs from does not hold it."""
_DRAIN: Final = 10.0
"""Seconds that clients of an image of somebody else's get to leave it before it is told to end."""
_LOG: Final = log_config(10 * 1024 * 1024, 3)


class Fronts:
    """Runs the front of one deployment and tells it where to."""

    def __init__(self, daemon: Daemon, containers: Containers, ports: Ports) -> None:
        self._daemon = daemon
        self._containers = containers
        self._ports = ports

    def run(self, resource: Resource) -> dict[str, Value]:
        """Run the front, which publishes the port and stays when the tool changes.

        Raises:
            WorldError: something else holds the port.
        """
        wanted = self._ports.settled(resource)
        volume = self._ports.volume(FRONT.kind)
        files = {"state/": b""}
        environment = {}
        if BESIDE in wanted.fields:
            files |= {f"{_LIBRARY}/": b"", f"{_LIBRARY}/mcp_tool/": b"", f"{_LIBRARY}/mcp_tool/__init__.py": b""}
            files[f"{_LIBRARY}/mcp_tool/front.py"] = _program()
            environment["PYTHONPATH"] = f"{_FOLDER}/{_LIBRARY}"
        self._daemon.write(volume, files)
        # A server that published the port itself, of an earlier deploy.
        self._containers.remove(SERVER, stop_seconds=SERVER_STOP_SECONDS)
        self._containers.run(
            wanted,
            image=wanted.fields["image"],
            entrypoint=[*_FRONT],
            command=["serve", "--listen", f"0.0.0.0:{PORT}", "--state", _STATE],
            alias="front",
            user=f"{USER}:{USER}",
            environment=environment,
            stop_seconds=_STOP_SECONDS,
            binds={volume: {"bind": _FOLDER, "mode": "rw"}},
            port_bindings={f"{PORT}/tcp": (wanted.fields["host"], wanted.fields["port"])},
            pids_limit=64,
            restart_policy={"Name": "unless-stopped"},
            log_config=_LOG,
        )
        return dict(wanted.fields)

    def route(self, resource: Resource) -> dict[str, Value]:
        """Have the front send new connections to the tool that is wanted.

        Raises:
            UserError: the front does not do it; its last log lines are in the problem.
        """
        upstream = resource.fields["upstream"]
        deadline = time.monotonic() + _SECONDS
        while True:
            code, said = self._containers.execute(FRONT, [*_FRONT, "switch", "--state", _STATE, upstream])
            if code == 0 and json.loads(said)["upstream"] == upstream:
                return {"upstream": upstream}
            if time.monotonic() > deadline:
                why = f"the front does not move to {upstream}: {said[:200]}"
                raise self._containers.not_up("the front", FRONT, why, "see its log, and try again")
            time.sleep(PAUSE)

    def drained(self, upstream: str) -> None:
        """Wait until no client is connected there any more; not for long, as one may keep a connection for ever.

        The front has each of them closed after its next answer. A server of somebody else's need not do so at its end.
        """
        deadline = time.monotonic() + _DRAIN
        while self._containers.inspect(FRONT) is not None and time.monotonic() < deadline:
            code, said = self._containers.execute(FRONT, [*_FRONT, "show", "--state", _STATE])
            if code != 0 or not json.loads(said)["open"].get(upstream):
                return
            time.sleep(PAUSE)

    def upstream(self) -> str | None:
        """Where the front sends new connections."""
        found = self._daemon.read_from(self._containers.name(FRONT), f"{_STATE}/upstream")
        return None if found is None else found.decode().strip() or None

    def remove(self) -> None:
        """End it, and forget the port."""
        self._containers.remove(FRONT, stop_seconds=_STOP_SECONDS)
        self._ports.forget(FRONT.kind)


def _program() -> bytes:
    """The front's program: one file, which needs the standard library alone."""
    spec = find_spec("mcp_tool")
    assert spec is not None and spec.origin is not None  # noqa: S101, PT018 - the packager depends on it
    return Path(spec.origin).with_name("front.py").read_bytes()

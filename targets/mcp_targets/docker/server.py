"""The tool's own container: behind the front, as a candidate that nobody calls yet, or publishing the port itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from mcp_packager.errors import Problem, UserError
from mcp_packager.target import Resource, Value
from mcp_targets.docker.compose import HEALTH
from mcp_targets.docker.containers import PAUSE, Containers, died, health, limits, uptime
from mcp_targets.docker.hosted import HOSTED
from mcp_targets.docker.names import fields_of
from mcp_targets.docker.ports import Ports
from mcp_targets.docker.render import (
    CONFIG_FOLDER,
    FRONT,
    HEALTH_INTERVAL,
    HEALTH_RETRIES,
    HEALTH_TIMEOUT,
    KEYS_FOLDER,
    PORT,
    SCRATCH,
    SECRETS_FOLDER,
    VALUE,
)

STOP_SECONDS: Final = 28
"""More than the runtime gives calls in flight, so that it is never cut short."""
_FRONT_STOP_SECONDS: Final = 2
"""Clients that keep a connection open would hold the port for as long as the front waits for them."""
SERVERS: Final = frozenset({"container", "candidate", "server"})
"""The kinds of resource that are the tool's container."""


class Servers:
    """Runs the tool's containers. ``value`` reads a secret from its volume."""

    def __init__(self, containers: Containers, ports: Ports, value: Callable[[str], bytes | None]) -> None:
        self._containers = containers
        self._ports = ports
        self._value = value

    def run(self, resource: Resource) -> dict[str, Value]:
        """Run the tool where only this machine reaches it, and wait until it is ready.

        Raises:
            UserError: it does not become ready; its last log lines are in the problem.
        """
        # Any port, for whoever looks at it before clients do.
        return self._run(resource, ("127.0.0.1", None))

    def publish(self, resource: Resource) -> dict[str, Value]:
        """Run the tool at the port that clients know, which whatever held it until now lets go.

        Raises:
            UserError: it does not become ready.
            WorldError: something else holds the port.
        """
        wanted = self._ports.settled(resource)
        # The front of an earlier deploy; its volume, which says where clients are, goes in retire.
        self._containers.remove(FRONT, stop_seconds=_FRONT_STOP_SECONDS)
        return self._run(wanted, (wanted.fields["host"], wanted.fields["port"]))

    def is_ready(self, found: Any) -> bool:
        """Whether a tool's container answers, or has run for so long that it is not its start that one waits for."""
        fields = fields_of(found["Config"]["Labels"])
        age, limit = uptime(found), fields.get("start_timeout", 0)
        return age is None or age > limit or _answers(published(found), fields)

    def _run(self, resource: Resource, port: tuple[str, int | None]) -> dict[str, Value]:
        fields = resource.fields
        if HOSTED in fields:
            return self._host(resource, port)
        binds = {fields["config"]: {"bind": CONFIG_FOLDER, "mode": "ro"}}
        for name, volume in fields["secrets"].items():
            binds[volume] = {"bind": f"{SECRETS_FOLDER}/{name}", "mode": "ro"}
        for name, volume in fields["keys"].items():
            binds[volume] = {"bind": f"{KEYS_FOLDER}/{name}", "mode": "ro"}
        serve = ["--transport", "http", "--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104 - the container's own network
        restarts = self._containers.run(
            resource,
            image=fields["image"],
            command=[*serve, "--config", f"{CONFIG_FOLDER}/config.json"],
            alias=resource.name,
            stop_seconds=STOP_SECONDS,
            binds=binds,
            port_bindings={f"{PORT}/tcp": port},
            tmpfs={"/tmp": f"rw,noexec,nosuid,size={fields['disk'] or SCRATCH}"},  # noqa: S108 - the container's
            pids_limit=fields["pids"],
            restart_policy={"Name": fields["restart"]},
            health=health(
                HEALTH,
                interval=HEALTH_INTERVAL,
                timeout=HEALTH_TIMEOUT,
                retries=HEALTH_RETRIES,
                start=fields["start_timeout"],
            ),
            **limits(fields),
        )
        return self._ready(resource, restarts)

    def _host(self, resource: Resource, port: tuple[str, int | None]) -> dict[str, Value]:
        """Run an image that knows nothing of us: no config, no keys, no word for its health."""
        fields = resource.fields
        hosted = fields[HOSTED]
        files = {name: volume for name, volume in fields["secrets"].items() if name in hosted["files"]}
        restarts = self._containers.run(
            resource,
            image=fields["image"],
            command=hosted["command"],
            alias=resource.name,
            stop_seconds=STOP_SECONDS,
            environment={**hosted["env"], **self._secrets(fields["secrets"], files)},
            user=hosted["user"],
            read_only=not hosted["writable"],
            cap_add=hosted["capabilities"] or None,
            binds={volume: {"bind": f"{SECRETS_FOLDER}/{name}", "mode": "ro"} for name, volume in files.items()},
            port_bindings={f"{hosted['port']}/tcp": port},
            tmpfs={"/tmp": f"rw,noexec,nosuid,size={fields['disk'] or SCRATCH}"},  # noqa: S108 - the container's
            pids_limit=fields["pids"],
            restart_policy={"Name": fields["restart"]},
            **limits(fields),
        )
        return self._ready(resource, restarts)

    def _secrets(self, volumes: Mapping[str, str], files: Mapping[str, str]) -> dict[str, str]:
        """Each secret as a variable of its name, which holds the path of one that is a file; none without a value."""
        values = {name: self._value(volume) for name, volume in volumes.items()}
        return {
            name: f"{SECRETS_FOLDER}/{name}/{VALUE}" if name in files else _text(name, value)
            for name, value in values.items()
            if value
        }

    def _ready(self, resource: Resource, restarts: int) -> dict[str, Value]:
        """Wait for it. One that the engine started more than ``restarts`` times again has ended meanwhile."""
        deadline = time.monotonic() + resource.fields["start_timeout"]
        while True:
            found = self._containers.inspect(resource.key)
            state = {} if found is None else found["State"]
            address = published(found)
            if state.get("Running") and _answers(address, resource.fields):
                return {**resource.fields, "private_port": address[1] if address else None}
            ended = found is None or state["Status"] in {"exited", "dead"} or found["RestartCount"] > restarts
            if ended or time.monotonic() > deadline:
                raise self._not_ready(resource, died(found) if ended else None)
            time.sleep(PAUSE)

    def _not_ready(self, resource: Resource, died_of: str | None) -> UserError:
        why = died_of or f"the server was not ready after {resource.fields['start_timeout']:g} s"
        return self._containers.not_up("the server", resource.key, why, "mend what its log says")


def _text(name: str, value: bytes) -> str:
    """A secret's value as an environment variable holds it."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        problem = Problem(f"the secret {name} is no text", f'hand it over as a file: as = "file" in [secrets.{name}]')
        raise UserError(problem) from None


def published(found: Any) -> tuple[str, int] | None:
    """Host and port on this machine at which the tool's own container answers."""
    ports = ((found or {}).get("NetworkSettings") or {}).get("Ports") or {}
    bound: Any = next((places for places in ports.values() if places), ())
    return (reached(bound[0]["HostIp"]), int(bound[0]["HostPort"])) if bound else None


def reached(host: str) -> str:
    """The address at which this machine reaches what is published on ``host``, as it stands in a URL."""
    named = _REACHED.get(host, host)
    return f"[{named}]" if ":" in named else named


_REACHED: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - a name of what is served, not a choice to serve it


def _answers(address: tuple[str, int] | None, fields: Mapping[str, Value]) -> bool:
    """Whether the tool says that it is ready; of somebody else's server, whether it says anything over HTTP."""
    if address is None:
        return False
    import urllib.error  # 15 ms that no build and no check need pay
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://{address[0]}:{address[1]}/readyz", timeout=2) as answer:
            return bool(answer.status == 200) or HOSTED in fields
    except urllib.error.HTTPError:
        return HOSTED in fields
    except (OSError, urllib.error.URLError, ValueError):
        return False

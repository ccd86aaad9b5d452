"""The services that a tool brings along: started first, waited for, on a network that nobody else is in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from mcp_packager.errors import Problem, UserError
from mcp_packager.target import Key, Observed, Resource, Value
from mcp_packager.target.owner import me
from mcp_targets.docker import image as images
from mcp_targets.docker.containers import PAUSE, PYTHON, Containers, health, limits, uptime
from mcp_targets.docker.daemon import Daemon, speaking
from mcp_targets.docker.names import BY, Names
from mcp_targets.docker.render import SERVICE_RESTART

SERVICE_STOP_SECONDS: Final = 20
_LOOK: Final = (
    "import socket,sys,time\n"
    "end=time.monotonic()+float(sys.argv[3])\n"
    "while True:\n"
    " try: socket.create_connection((sys.argv[1],int(sys.argv[2])),2).close(); break\n"
    " except OSError:\n"
    "  if time.monotonic()>end: sys.exit(1)\n"
    "  time.sleep(0.1)\n"
)


class Services:
    """Runs services and looks at them. ``value`` reads a secret from its volume."""

    def __init__(
        self, daemon: Daemon, names: Names, containers: Containers, value: Callable[[str], bytes | None]
    ) -> None:
        self._daemon = daemon
        self._names = names
        self._containers = containers
        self._value = value

    def run(self, resource: Resource, tool_image: str) -> dict[str, Value]:
        """Run a service and wait until it is up.

        Raises:
            UserError: its image cannot be had, or it does not come up in time.
        """
        fields = resource.fields
        self._pull(resource.name, fields["image"])
        secret = {name: (self._value(volume) or b"").decode() for name, volume in fields["secrets"].items()}
        self._containers.run(
            resource,
            image=fields["image"],
            command=fields["command"],
            alias=resource.name,
            stop_seconds=SERVICE_STOP_SECONDS,
            binds={fields["volume"]: {"bind": fields["data"], "mode": "rw"}} if fields["volume"] else {},
            environment={**fields["env"], **secret},
            health=self._health(resource),
            restart_policy={"Name": SERVICE_RESTART},
            **limits(fields),
        )
        self._up(resource, tool_image)
        return {**fields}

    def await_one(self, observed: Observed, tool_image: Callable[[], str]) -> None:
        """Wait for a service that runs, if it began less than its time to start ago.

        Raises:
            UserError: it does not come up.
        """
        found = self._containers.inspect(observed.key)
        if found is not None and (age := uptime(found)) is not None and age < observed.fields["start"]:
            self._up(Resource(*observed.key, observed.fields), tool_image())

    def _health(self, resource: Resource) -> dict[str, Any] | None:
        """What the daemon asks it from time to time, for whoever looks at ``docker ps``."""
        asked = resource.fields["health"]
        if asked is None:
            return None
        return health(
            asked["command"],
            interval=asked["interval"],
            timeout=asked["timeout"],
            retries=asked["retries"],
            start=asked["start"],
        )

    def _up(self, resource: Resource, tool_image: str) -> None:
        """Wait for a service: by its own command, else by its first port, seen from a container beside it."""
        fields = resource.fields
        deadline = time.monotonic() + fields["start"]
        if fields["health"] is None:
            fine = self._look(tool_image, resource.name, fields["ports"][0], fields["start"])
        else:
            asked = fields["health"]["command"]
            while not (fine := self._containers.execute(resource.key, asked)[0] == 0) and time.monotonic() < deadline:
                time.sleep(PAUSE)
        if not fine:
            why = f"the service {resource.name} did not come up within {fields['start']:g} s"
            raise self._containers.not_up(
                f"the service {resource.name}", resource.key, why, "see its log, its env and its health command"
            )

    def _look(self, image: str, host: str, port: int, seconds: float) -> bool:
        api, name = self._daemon.api, self._names.of("look", host)
        self._daemon.remove(name)
        with speaking():
            network = self._names.of("network", "network")
            api.create_container(
                image,
                entrypoint=[*PYTHON, "-c", _LOOK],
                command=[host, str(port), str(seconds)],
                name=name,
                labels={**self._names.labels(Key("look", host), {}), BY: me()},
                networking_config=api.create_networking_config({network: api.create_endpoint_config()}),
            )
            api.start(name)
            code: int = api.wait(name)["StatusCode"]
        self._daemon.remove(name)
        return code == 0

    def _pull(self, service: str, image: str) -> None:
        import docker

        api = self._daemon.api
        with speaking():
            if images.there(self._daemon, image):
                return
            repository, _, tag = image.partition("@") if "@" in image else image.rpartition(":")
            if "@" not in image and ("/" in tag or not repository):
                repository, tag = image, "latest"
            try:
                api.pull(repository, tag=tag)
            except docker.errors.APIError as error:
                raise UserError(
                    Problem(
                        f"the image {image} of the service {service} cannot be had: {str(error.explanation)[:200]}",
                        "check its name; docker login where its registry asks who you are",
                    )
                ) from error

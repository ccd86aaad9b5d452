"""The containers of one deployment: the tool, its services, the front."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from mcp_packager.errors import Problem, UserError, WorldError
from mcp_packager.process import redact
from mcp_packager.target import Key, Observed, Resource, Value
from mcp_targets.docker import image as images
from mcp_targets.docker.daemon import Daemon, speaking
from mcp_targets.docker.names import BY, Names, fields_of
from mcp_targets.docker.owner import me
from mcp_targets.docker.render import CONFIG_FOLDER, FRONT, KEYS_FOLDER, PORT, SECRETS_FOLDER

_STOP_SECONDS: Final = 28
"""More than the runtime gives calls in flight, so that it is never cut short."""
_FRONT_STOP_SECONDS: Final = 12
_SERVICE_STOP_SECONDS: Final = 20
_SCRATCH: Final = 64 * 1024 * 1024
_SHOWN_LINES: Final = 12
_PAUSE: Final = 0.1
_FRONT_SECONDS: Final = 20.0
_STATE_FOLDER: Final = "/run/front"
_PYTHON: Final = ("python3", "-S", "-P")
_LOOK: Final = (
    "import socket,sys,time\n"
    "end=time.monotonic()+float(sys.argv[3])\n"
    "while True:\n"
    " try: socket.create_connection((sys.argv[1],int(sys.argv[2])),2).close(); break\n"
    " except OSError:\n"
    "  if time.monotonic()>end: sys.exit(1)\n"
    "  time.sleep(0.1)\n"
)


class Containers:
    """Makes, looks at and ends containers."""

    def __init__(self, daemon: Daemon, names: Names, value: Callable[[str], bytes | None], hidden: list[str]) -> None:
        self._daemon = daemon
        self._names = names
        self._value = value
        self._hidden = hidden

    def tool(self, resource: Resource) -> dict[str, Value]:
        """Run the tool and wait until it is ready.

        Raises:
            UserError: it does not become ready; its last log lines are in the problem.
        """
        fields = resource.fields
        binds = {fields["config"]: {"bind": CONFIG_FOLDER, "mode": "ro"}}
        for name, volume in fields["secrets"].items():
            binds[volume] = {"bind": f"{SECRETS_FOLDER}/{name}", "mode": "ro"}
        for name, volume in fields["keys"].items():
            binds[volume] = {"bind": f"{KEYS_FOLDER}/{name}", "mode": "ro"}
        serve = ["--transport", "http", "--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104 - the container's own network
        self._run(
            resource,
            image=fields["image"],
            command=[*serve, "--config", f"{CONFIG_FOLDER}/config.json"],
            alias=resource.name,
            binds=binds,
            # For whoever looks at it before clients do: this machine alone, any port.
            port_bindings={f"{PORT}/tcp": ("127.0.0.1", None)},
            tmpfs={"/tmp": f"rw,noexec,nosuid,size={fields['disk'] or _SCRATCH}"},  # noqa: S108 - the container's
            pids_limit=fields["pids"],
            restart_policy={"Name": fields["restart"]},
            log_config={
                "Type": "json-file",
                "Config": {"max-size": str(fields["log_size"]), "max-file": str(fields["log_files"])},
            },
            **_limits(fields),
        )
        return self._ready(resource)

    def service(self, resource: Resource, tool_image: str) -> dict[str, Value]:
        """Run a service and wait until it is up.

        Raises:
            UserError: its image cannot be had, or it does not come up in time.
        """
        fields = resource.fields
        self._pull(resource.name, fields["image"])
        secret = {name: (self._value(volume) or b"").decode() for name, volume in fields["secrets"].items()}
        self._run(
            resource,
            image=fields["image"],
            command=fields["command"],
            alias=resource.name,
            binds={fields["volume"]: {"bind": fields["data"], "mode": "rw"}} if fields["volume"] else {},
            environment={**fields["env"], **secret},
            restart_policy={"Name": "unless-stopped"},
            **_limits(fields),
        )
        self._up(resource, tool_image)
        return {**fields}

    def await_service(self, observed: Observed, tool_image: Callable[[], str]) -> None:
        """Wait for a service that runs, if it began less than its time to start ago.

        Raises:
            UserError: it does not come up.
        """
        found = self.inspect(observed.key)
        if found is not None and (age := uptime(found)) is not None and age < observed.fields["start"]:
            self._up(Resource(*observed.key, observed.fields), tool_image())

    def is_ready(self, found: Any) -> bool:
        """Whether a tool's container answers, or has run for so long that it is not its start that one waits for."""
        age, limit = uptime(found), fields_of(found["Config"]["Labels"]).get("start_timeout", 0)
        port = private_port(found)
        return age is None or age > limit or (port is not None and _answers(port))

    def front(self, resource: Resource) -> dict[str, Value]:
        """Run the front, which publishes the port and stays when the tool changes."""
        fields = dict(resource.fields)
        volume = self._names.of("front")
        if not isinstance(fields["port"], int):
            fields["port"] = self._kept_port(volume) or _free_port(fields["host"])
        with speaking():
            # The volume outlives a front that somebody removed, and so does the port that clients know.
            labels = self._names.labels(Key("front", "state"), {"port": fields["port"]})
            self._daemon.api.create_volume(volume, labels=labels)
        self._daemon.write(volume, {"state/": b""})
        wanted = Resource(resource.kind, resource.name, fields, phase=resource.phase)
        self._run(
            wanted,
            image=fields["image"],
            entrypoint=[*_PYTHON, "-m", "mcp_tool.front"],
            command=["serve", "--listen", f"0.0.0.0:{PORT}", "--state", f"{_STATE_FOLDER}/state"],
            alias="front",
            binds={volume: {"bind": _STATE_FOLDER, "mode": "rw"}},
            port_bindings={f"{PORT}/tcp": (fields["host"], fields["port"])},
            pids_limit=64,
            restart_policy={"Name": "unless-stopped"},
        )
        return fields

    def route(self, resource: Resource) -> dict[str, Value]:
        """Have the front send new connections to the tool that is wanted.

        Raises:
            WorldError: the front does not do it.
        """
        upstream = resource.fields["upstream"]
        state = f"{_STATE_FOLDER}/state"
        deadline = time.monotonic() + _FRONT_SECONDS
        while True:
            code, said = self._exec(
                self.name(FRONT), [*_PYTHON, "-m", "mcp_tool.front", "switch", "--state", state, upstream]
            )
            if code == 0 and json.loads(said)["upstream"] == upstream:
                return {"upstream": upstream}
            if time.monotonic() > deadline:
                raise WorldError(Problem(f"the front does not move to {upstream}: {said[:200]}", "try again"))
            time.sleep(_PAUSE)

    def upstream(self) -> str | None:
        """Where the front sends new connections."""
        found = self._daemon.read_from(self.name(FRONT), f"{_STATE_FOLDER}/state/upstream")
        return None if found is None else found.decode().strip() or None

    def remove(self, key: Key) -> None:
        """End a container in the order that its clients notice least."""
        match key.kind:
            case "container":
                self._daemon.remove(self.name(key), stop_seconds=_STOP_SECONDS)
            case "front":
                self._daemon.remove(self.name(key), stop_seconds=_FRONT_STOP_SECONDS)
                self._daemon.remove_volume(self._names.of("front"))
            case _:
                self._daemon.remove(self.name(key), stop_seconds=_SERVICE_STOP_SECONDS)

    def name(self, key: Key) -> str:
        """What the container of a resource is called."""
        return self._names.of(key.kind, key.name)

    def inspect(self, key: Key) -> Any:
        """What the daemon knows of it; ``None`` where it is not there."""
        import docker

        with speaking():
            try:
                return self._daemon.api.inspect_container(self.name(key))
            except docker.errors.NotFound:
                return None

    def _kept_port(self, volume: str) -> int | None:
        import docker

        with speaking():
            try:
                labels = self._daemon.api.inspect_volume(volume)["Labels"] or {}
            except docker.errors.NotFound:
                return None
        port = fields_of(labels).get("port")
        return port if isinstance(port, int) else None

    def _run(
        self,
        resource: Resource,
        *,
        image: str,
        alias: str,
        command: list[str] | None = None,
        entrypoint: list[str] | None = None,
        environment: Mapping[str, str] | None = None,
        **host: Any,
    ) -> None:
        """Make and start it; one that is there as it is wanted is only started, another one makes room."""
        api = self._daemon.api
        wanted = self._names.labels(resource.key, resource.fields)
        there = self.inspect(resource.key)
        if there is not None and fields_of(there["Config"]["Labels"]) != fields_of(wanted):
            self.remove(resource.key)
            there = None
        ours = resource.kind != "service"
        with speaking():
            if there is None:
                settings = api.create_host_config(
                    init=True,
                    read_only=ours,
                    cap_drop=["ALL"] if ours else None,
                    security_opt=["no-new-privileges"],
                    extra_hosts={"host.docker.internal": "host-gateway"} if resource.kind == "container" else None,
                    **host,
                )
                network = self._names.of("network", "network")
                api.create_container(
                    image,
                    command=command,
                    entrypoint=entrypoint,
                    name=self.name(resource.key),
                    labels=wanted,
                    environment=dict(environment or {}),
                    ports=[PORT] if host.get("port_bindings") else None,
                    host_config=settings,
                    networking_config=api.create_networking_config(
                        {network: api.create_endpoint_config(aliases=[alias])}
                    ),
                )
            api.start(self.name(resource.key))

    def _ready(self, resource: Resource) -> dict[str, Value]:
        deadline = time.monotonic() + resource.fields["start_timeout"]
        while True:
            found = self.inspect(resource.key)
            state = {} if found is None else found["State"]
            port = private_port(found)
            if state.get("Running") and port and _answers(port):
                return {**resource.fields, "private_port": port}
            ended = found is None or state["Status"] in {"exited", "dead"} or found["RestartCount"] > 0
            if ended or time.monotonic() > deadline:
                seconds = resource.fields["start_timeout"]
                why = died(found) if ended else f"the server was not ready after {seconds:g} s"
                raise self._not_up("the server", self.name(resource.key), why, "mend what its log says")
            time.sleep(_PAUSE)

    def _up(self, resource: Resource, tool_image: str) -> None:
        """Wait for a service: by its own command, else by its first port, seen from a container beside it."""
        name, fields = self.name(resource.key), resource.fields
        deadline = time.monotonic() + fields["start"]
        if fields["health"] is None:
            fine = self._look(tool_image, resource.name, fields["ports"][0], fields["start"])
        else:
            while not (fine := self._exec(name, fields["health"])[0] == 0) and time.monotonic() < deadline:
                time.sleep(_PAUSE)
        if not fine:
            why = f"the service {resource.name} did not come up within {fields['start']:g} s"
            raise self._not_up(f"the service {resource.name}", name, why, "see its log, its env and its health command")

    def _look(self, image: str, host: str, port: int, seconds: float) -> bool:
        api, name = self._daemon.api, self._names.of("look", host)
        self._daemon.remove(name)
        with speaking():
            network = self._names.of("network", "network")
            api.create_container(
                image,
                entrypoint=[*_PYTHON, "-c", _LOOK],
                command=[host, str(port), str(seconds)],
                name=name,
                labels={**self._names.labels(Key("look", host), {}), BY: me()},
                networking_config=api.create_networking_config({network: api.create_endpoint_config()}),
            )
            api.start(name)
            code: int = api.wait(name)["StatusCode"]
        self._daemon.remove(name)
        return code == 0

    def _exec(self, container: str, command: list[str]) -> tuple[int, str]:
        import docker

        api = self._daemon.api
        with speaking():
            try:
                made = api.exec_create(container, command)["Id"]
                said = api.exec_start(made).decode("utf-8", "replace")
            except docker.errors.APIError as error:
                if error.status_code in {409, 500}:  # it does not run (any more, or yet)
                    return 1, str(error.explanation)
                raise
            code = api.exec_inspect(made)["ExitCode"]
        return (1 if code is None else code), said.strip()

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

    def _not_up(self, what: str, container: str, why: str, fix: str) -> UserError:
        with speaking():
            log = self._daemon.api.logs(container, tail=_SHOWN_LINES, stdout=True, stderr=True)
        lines = redact(log.decode("utf-8", "replace").strip(), self._hidden)
        return UserError(Problem(why, f"{fix}: docker logs {container}", found=lines or f"{what} wrote nothing"))


def private_port(found: Any) -> int | None:
    """The port on this machine at which the tool's own container answers."""
    ports = ((found or {}).get("NetworkSettings") or {}).get("Ports") or {}
    published = ports.get(f"{PORT}/tcp") or ()
    return int(published[0]["HostPort"]) if published else None


def uptime(found: Any) -> float | None:
    """Seconds since a container was started; ``None`` where that cannot be read."""
    try:
        began = datetime.fromisoformat(str(found["State"]["StartedAt"])[:19] + "+00:00")
    except ValueError:
        return None
    return max(0.0, time.time() - began.timestamp())


def died(found: Any) -> str:
    """Why a container is not running, in a line."""
    if found is None:
        return "the server's container is gone"
    state = found["State"]
    if state.get("OOMKilled"):
        return "the server was killed for lack of memory: raise [resources] memory"
    return f"the server ended with exit code {state['ExitCode']}"


def _limits(fields: Mapping[str, Value]) -> dict[str, Any]:
    memory, cpu = fields["memory"], fields["cpu"]
    return {
        # No swap beside it: a tool that needs more is to be killed at its limit, not to crawl.
        **({"mem_limit": memory, "memswap_limit": memory} if memory else {}),
        **({"nano_cpus": int(cpu * 1e9)} if cpu else {}),
    }


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError, ValueError):
        return False


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((host, 0))
            return int(probe.getsockname()[1])
    except OSError as error:
        raise WorldError(Problem(f"no port on {host} is free: {error.strerror}", "set [target.docker] port")) from error

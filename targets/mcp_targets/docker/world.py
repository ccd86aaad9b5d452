"""A daemon as a world: everything of one deployment there, by its labels."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import (
    PROBE,
    Action,
    Auth,
    Endpoint,
    Key,
    Kind,
    Observed,
    Phase,
    Plan,
    Resource,
    State,
    Status,
    Step,
    Value,
    WorldInput,
    owned,
)
from mcp_targets.docker import image as images
from mcp_targets.docker.containers import Containers, died, uptime
from mcp_targets.docker.daemon import Daemon, speaking
from mcp_targets.docker.fronts import Fronts
from mcp_targets.docker.hosted import BESIDE, HOSTED
from mcp_targets.docker.names import Names, fields_of, key_of
from mcp_targets.docker.ports import KEPT, Ports
from mcp_targets.docker.records import VolumeLock, VolumeRecords
from mcp_targets.docker.render import FRONT, NETWORK, ROUTE, SERVER, address
from mcp_targets.docker.server import SERVERS, STOP_SECONDS, Servers, published, reached
from mcp_targets.docker.services import SERVICE_STOP_SECONDS, Services
from mcp_targets.docker.volumes import Volumes, config_held

_LOG_LINES: Final = 10
_SETTLES: Final = 3.0
"""Seconds in which an engine that publishes a port may cut a connection before somebody listens behind it."""
_RUN: Final = SERVERS | {"service", "front", "route"}


def _but(*names: str) -> Any:
    """A projection that leaves some fields to the world."""

    def project(observed: Mapping[str, Value], desired: Mapping[str, Value]) -> Mapping[str, Value]:
        return {**owned(observed, desired), **{name: desired[name] for name in names if name in desired}}

    return project


GAP: Final = "closes the port for about 2 s, longer while calls in flight end"
"""What it costs to have no front."""

KINDS: Final = (
    Kind("network", replace_on=frozenset({"internal"})),
    Kind("image"),
    Kind("volume"),
    Kind("secret", secret=True),
    Kind("key"),
    Kind("config", project=config_held),
    Kind("service", effect="restarts the service; the tool waits for it"),
    Kind("container", effect="restarts the server; calls wait for it"),
    # It may run from the image of any release.
    Kind("candidate"),
    Kind("server", effect=GAP),
    Kind("front", project=_but("image", BESIDE), effect="closes the port for a moment"),
    Kind("route", effect="moves clients to the new server; no connection is refused"),
)


class DockerWorld:
    """One deployment at one daemon."""

    def __init__(self, request: WorldInput) -> None:
        self._request = request
        self._daemon = Daemon(request.environ)
        self._names = Names(request.identity)
        project = request.manifest.project if request.manifest else None
        # A rollback brings no artifact along; the one that was built last may be of the release that it goes back to.
        self._output = request.output or (None if project is None else project / "dist" / "docker")
        self._volumes = Volumes(self._daemon, self._names, request.environ, project)
        self._containers = Containers(self._daemon, self._names, self._volumes.read_values)
        self._services = Services(self._daemon, self._names, self._containers, self._volumes.value)
        self._ports = Ports(self._daemon, self._names)
        self._servers = Servers(self._containers, self._ports, self._volumes.value)
        self._fronts = Fronts(self._daemon, self._containers, self._ports)
        self._swept = False
        self._sweeping = threading.Lock()
        self.kinds = KINDS
        self.records = VolumeRecords(self._daemon, self._names)
        self.lock = VolumeLock(self._daemon, self._names)

    def observe(self) -> Mapping[Key, Observed]:
        """Everything of this deployment that is there."""
        return {found.key: found for found in self._all()}

    def _all(self) -> Iterator[Observed]:
        with speaking():
            networks = self._daemon.api.networks(filters=self._names.filters)
            containers = self._daemon.api.containers(all=True, filters=self._names.filters)
            volumes = self._daemon.volumes(self._names.filters)
        for network in networks:
            yield Observed(*key_of(network["Labels"]), {**fields_of(network["Labels"]), "name": network["Name"]})
        yield from self._volumes.observe()
        yield from _half_made(volumes, {key_of(container["Labels"]) for container in containers})
        for container in containers:
            key, fields = key_of(container["Labels"]), fields_of(container["Labels"])
            match key.kind:
                case "image":
                    yield Observed(*key, fields)
                case "container" | "candidate" | "server" | "service" | "front":
                    yield Observed(*key, {**fields, **self._state(key)})
                case _:
                    pass  # what there is for as long as a command runs
        if any(key_of(container["Labels"]) == FRONT for container in containers):
            upstream = self._fronts.upstream()
            if upstream is not None:
                yield Observed(*ROUTE, {"upstream": upstream})

    def _state(self, key: Key) -> dict[str, Value]:
        """What a container is, beside how it was wanted: whether it runs, and the limits it really has."""
        found = self._containers.inspect(key)
        if found is None:
            return {"state": "gone"}
        state, host = found["State"], found["HostConfig"]
        running = state["Running"] and not state.get("Paused") and not state.get("Restarting")
        seen: dict[str, Value] = {"state": "running" if running else state["Status"]}
        if key.kind == FRONT.kind:
            return seen if running else {**seen, "version": state["Status"]}
        if running and key.kind in SERVERS and not self._servers.is_ready(found):
            seen["state"] = "starting"
        seen |= {"memory": host.get("Memory") or None, "cpu": (host.get("NanoCpus") or 0) / 1e9 or None}
        if key.kind in SERVERS and (address := published(found)):
            seen |= {"private_port": address[1]}
        return seen

    def apply(self, step: Step) -> Mapping[str, Value]:
        """Make one change."""
        with self._sweeping:
            if not self._swept:
                self._daemon.sweep()
                self._swept = True
        if step.resource is None or step.action is Action.DELETE:
            self._delete(step.key, step.observed)
            return {}
        if step.key.kind in _RUN:
            return self._run(step.resource)
        return self._keep(step.resource)

    def rehearse(self, plan: Plan) -> tuple[str, ...]:
        """Hold that what containers are made of can be had: ``docker system prune -a`` takes images that nothing runs.

        Raises:
            WorldError: an image of an earlier release is gone; nothing was touched.
        """
        for change in plan.changes:
            if change.resource is not None and change.key.kind == "image":
                images.must_be_had(self._daemon, change.resource.fields, self._output)
        return ()

    def _keep(self, resource: Resource) -> Mapping[str, Value]:
        """Make what is there for containers to use."""
        match resource.kind:
            case "network":
                return self._network(resource)
            case "image" if BESIDE in resource.fields:
                return images.beside(self._daemon, self._names, resource.name, resource.fields)
            case "image":
                return images.ensure(self._daemon, self._names, resource.name, resource.fields, self._output)
            case "volume":
                return self._volumes.data(resource)
            case "secret":
                return self._volumes.secret(resource)
            case "key":
                return self._volumes.key(resource)
            case "config":
                return self._volumes.config(resource)
            case kind:
                raise _unknown(kind)

    def _run(self, resource: Resource) -> Mapping[str, Value]:
        match resource.kind:
            case "service":
                return self._services.run(resource, self._tool_image())
            case "container" | "candidate":
                self._await_services()
                return self._servers.run(resource)
            case "server":
                return self._servers.publish(resource)
            case "front":
                return self._fronts.run(resource)
            case "route":
                return self._fronts.route(resource)
            case kind:
                raise _unknown(kind)

    def _network(self, resource: Resource) -> Mapping[str, Value]:
        name = self._names.of("network", resource.name)
        with speaking():
            if not self._daemon.api.networks(filters={**self._names.filters, "name": [name]}):
                labels = self._names.labels(resource.key, resource.fields)
                self._daemon.api.create_network(name, driver="bridge", labels=labels, check_duplicate=True)
        return {**resource.fields, "name": name}

    def _await_services(self) -> None:
        """Wait for services that were started a short time ago: a deploy that was killed may not have done so."""
        for found in self.observe().values():
            if found.key.kind == "service":
                self._services.await_one(found, self._tool_image)

    def _tool_image(self) -> str:
        """An image with a Python that can look at a port: the one that stands beside somebody else's, or the tool's."""
        there = [found.fields for found in self.observe().values() if found.key.kind == "image"]
        for fields in sorted(there, key=lambda fields: BESIDE not in fields):
            if fields.get("id"):
                return str(fields["id"])
        raise WorldError(Problem("the tool's image is not at the daemon", "deploy again"))

    def _delete(self, key: Key, observed: Observed | None) -> None:
        match key.kind:
            case "network":
                self._drop_network()
            case "image":
                fields = observed.fields if observed else {}
                named = fields["reference"] if BESIDE in fields else fields.get("id") or fields.get("loading")
                images.drop(self._daemon, self._names, key.name, named)
            case "volume" | "secret" | "key" | "config":
                self._volumes.delete(key)
            case "container" | "candidate":
                if observed is not None and HOSTED in observed.fields:
                    self._fronts.drained(address(key.name, observed.fields[HOSTED]["port"]))
                self._containers.remove(key, stop_seconds=STOP_SECONDS)
            case "server":
                self._containers.remove(key, stop_seconds=STOP_SECONDS)
                self._ports.forget(key.kind)
            case "service":
                self._containers.remove(key, stop_seconds=SERVICE_STOP_SECONDS)
            case "front":
                self._fronts.remove()
                if observed is not None and (named := observed.fields.get(BESIDE) or observed.fields.get("image")):
                    images.discard(self._daemon, named)
            case "route":
                pass  # goes with the front
            case kind:
                raise _unknown(kind)

    def _drop_network(self) -> None:
        import docker

        with speaking(), contextlib.suppress(docker.errors.NotFound):
            self._daemon.api.remove_network(self._names.of(*NETWORK))

    def endpoint(self, phase: Phase, observed: Mapping[Key, Observed]) -> Endpoint | None:
        """The new container's own address, or the front's, which clients use."""
        match phase:
            case Phase.CANDIDATE:
                found = [thing for key, thing in observed.items() if key.kind in {"container", "candidate"}]
                return _endpoint("127.0.0.1", found[0].fields.get("private_port"), found[0]) if found else None
            case Phase.SWITCH:
                served = _served(observed)
                holder = served if served is None or served.key == SERVER else observed.get(FRONT)
                if holder is None or served is None:
                    return None
                return _endpoint(holder.fields["host"], holder.fields["port"], served)
            case Phase.PREPARE | Phase.RETIRE:
                return None

    def status(self) -> Status:
        """How the deployment is now."""
        observed = self.observe()
        served = _served(observed)
        if served is None:
            return Status(State.STOPPED, detail=("nothing serves clients",)) if observed else Status(State.ABSENT)
        found = self._containers.inspect(served.key)
        running = found is not None and found["State"]["Running"] and not found["State"].get("Restarting")
        detail = (
            [] if running else [died(found), *(f"log: {line}" for line in self.logs(lines=_LOG_LINES, follow=False))]
        )
        if served.key != SERVER and observed.get(FRONT, served).fields.get("state") != "running":
            detail.append("the front, which holds the port, does not run")
        return Status(
            State.RUNNING if running and not detail else State.CRASHED,
            endpoint=self.endpoint(Phase.SWITCH, observed),
            uptime=uptime(found) if running else None,
            restarts=None if found is None else int(found["RestartCount"]),
            replicas="1/1" if running else "0/1",
            detail=tuple(detail),
        )

    def logs(self, *, lines: int, follow: bool) -> Iterator[str]:
        """The log of the container that serves clients."""
        served = _served(self.observe())
        if served is None:
            return
        name = self._containers.name(served.key)
        with speaking():
            told = self._daemon.api.logs(name, tail=lines, stdout=True, stderr=True, stream=True, follow=follow)
            rest = b""
            for chunk in told:
                *whole, rest = (rest + chunk).split(b"\n")
                yield from (line.decode("utf-8", "replace") for line in whole)
            if rest:
                yield rest.decode("utf-8", "replace")

    def probe_key(self) -> bytes | None:
        """What the deploy's probe tokens are signed with; ``None`` where it is not made yet."""
        there = next((found for found in self._volumes.observe() if found.key == PROBE), None)
        text = None if there is None else self._volumes.value(there.fields["volume"])
        try:
            return None if text is None else bytes.fromhex(text.decode("ascii"))
        except ValueError:
            return None


def _half_made(volumes: Sequence[Any], containers: Collection[Key]) -> Iterator[Observed]:
    """What a command that was killed, or somebody who pruned, left of an image and of the front."""
    for volume in volumes:
        key, fields = key_of(volume["Labels"]), fields_of(volume["Labels"])
        if key.kind == "image" and key not in containers:
            known = fields if BESIDE in fields else {}
            yield Observed(*key, {**known, "id": None, "loading": fields.get("id")})
        if key.name == KEPT and key.kind in {FRONT.kind, SERVER.kind}:
            holder = Key(key.kind, key.kind)
            if holder not in containers:
                yield Observed(*holder, {**fields, "state": "gone"})


def _served(observed: Mapping[Key, Observed]) -> Observed | None:
    """The server that clients get: the one that publishes the port, else the one that the front sends them to."""
    server, route = observed.get(SERVER), observed.get(ROUTE)
    if server is not None and server.fields["state"] != "gone":
        return server
    return None if route is None else observed.get(Key("container", route.fields["upstream"].partition(":")[0]))


def _endpoint(host: str, port: int | None, server: Observed) -> Endpoint | None:
    if not port:
        return None
    url = f"http://{reached(host)}:{port}{server.fields['path']}"
    return Endpoint(url=url, auth=Auth(server.fields.get("auth", "none")), settles=_SETTLES)


def _unknown(kind: str) -> WorldError:
    return WorldError(
        Problem(f"this version of the target docker knows no {kind!r}", "use the mcp-pack version that deployed it")
    )

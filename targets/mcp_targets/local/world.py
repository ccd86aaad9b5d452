"""This machine as a world: folders, files, a supervisor and the servers it runs."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from mcp_packager import bundle as bundles
from mcp_packager.errors import Place, Problem, UserError, WorldError
from mcp_packager.files import remove_tree, write_atomic
from mcp_packager.process import redact
from mcp_packager.target import (
    Action,
    Auth,
    Endpoint,
    Generated,
    Key,
    Kind,
    Observed,
    Phase,
    Resource,
    Sources,
    Status,
    Step,
    Value,
    WorldInput,
    as_shown,
    digest,
    without_value,
)
from mcp_targets.local.daemon import Daemon
from mcp_targets.local.keys import PROBE, key_fields, make_key, read_key
from mcp_targets.local.logs import read_logs, stdio_log, tail
from mcp_targets.local.observe import (
    BUNDLE_MADE,
    bundle_fields,
    bundle_held,
    config_fields,
    observe,
    secret_fields,
    server_fields,
    supervisor_held,
)
from mcp_targets.local.parcel import PYTHON, opened
from mcp_targets.local.places import Places, drop, told
from mcp_targets.local.records import FileLock, FileRecords
from mcp_targets.local.render import CANDIDATE, SERVER
from mcp_targets.local.report import spoken, status
from mcp_targets.local.supervisor.machine import bound, port_of
from mcp_targets.local.trees import Trees, write_listing
from mcp_targets.local.unit import Unit

_STOP_SECONDS: Final = 28.0
"""More than the runtime gives calls in flight, so that it is never cut short."""
_SHOWN_LINES: Final = 12
_REACHED: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # a name of what is served, not a choice to serve it

KINDS: Final = (
    Kind("home", stable=frozenset({"audit"})),
    Kind("scratch"),
    Kind("bundle", stable=frozenset({"path"})),
    Kind("config", stable=frozenset({"path"})),
    Kind("secret", secret=True),
    Kind("key"),
    Kind("supervisor", project=supervisor_held),
    Kind("unit"),
    Kind("server", effect="moves clients to the new server; no connection is refused"),
)


class LocalWorld:
    """One deployment on this machine."""

    def __init__(self, request: WorldInput) -> None:
        self._request = request
        self._places = Places.of(request.identity, request.environ)
        self._daemon = Daemon(self._places)
        self._unit = Unit(self._places, request.environ)
        self._values: list[str] = []
        self._trees = Trees()
        self.kinds = tuple(
            replace(kind, project=partial(bundle_held, self._trees)) if kind.name == "bundle" else kind
            for kind in KINDS
        )
        self.records = FileRecords(self._places.releases)
        self.lock = FileLock(self._places.lock, self._places.gate)

    def observe(self) -> Mapping[Key, Observed]:
        """Everything of this deployment that is there."""
        return observe(self._places, self._daemon, self._unit, self._trees)

    def apply(self, step: Step) -> Mapping[str, Value]:
        """Make one change.

        Raises:
            WorldError: the disk is full, or a file may not be written.
        """
        with told(self._places.root):
            return self._apply(step)

    def _apply(self, step: Step) -> Mapping[str, Value]:
        if step.resource is None or step.action is Action.DELETE:
            self._delete(step.key)
            return {}
        match step.key.kind:
            case "supervisor":
                self._daemon.start(Path(step.resource.fields["python"]), self._request.environ)
                return {**step.resource.fields, "pid": self._daemon.state().get("pid"), "killed": False}
            case "unit":
                return self._install(step.resource)
            case "server":
                return self._server(step.resource)
            case _:
                return self._write(step.resource)

    def _write(self, resource: Resource) -> Mapping[str, Value]:
        """Make what is nothing but files."""
        match resource.kind:
            case "home":
                return self._home(resource)
            case "bundle":
                return self._bundle(resource)
            case "config":
                return self._config(resource)
            case "secret":
                return self._secret(resource)
            case "key":
                return self._key(resource)
            case kind:
                raise _unknown(kind)

    def endpoint(self, phase: Phase, observed: Mapping[Key, Observed]) -> Endpoint | None:
        """The candidate's private address, or the one clients use."""
        match phase:
            case Phase.CANDIDATE:
                candidate = observed.get(CANDIDATE)
                return None if candidate is None else _endpoint(candidate.fields, "private_port")
            case Phase.SWITCH:
                server = observed.get(SERVER)
                return None if server is None else _endpoint(server.fields, "port")
            case Phase.PREPARE | Phase.RETIRE:
                return None

    def status(self) -> Status:
        """How the deployment is now."""
        return status(self._places, self._daemon, self.endpoint(Phase.SWITCH, self.observe()))

    def logs(self, *, lines: int, follow: bool) -> Iterator[str]:
        """What the deployed server wrote, and what the servers that clients started over stdio did."""
        paths = (self._places.log(SERVER.name), stdio_log(self._request.identity, self._request.environ))
        return read_logs(paths, lines=lines, follow=follow)

    def probe_key(self) -> bytes | None:
        """What the deploy's probe tokens are signed with; ``None`` where it is not made yet."""
        return read_key(self._places.keys / PROBE)

    def _home(self, resource: Resource) -> Mapping[str, Value]:
        self._places.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(self._places.owner, json.dumps(resource.fields["identity"]).encode(), mode=0o600)
        return {**resource.fields, "audit": str(self._places.log("audit"))}

    def _bundle(self, resource: Resource) -> Mapping[str, Value]:
        wanted = resource.fields["digest"]
        folder = self._places.bundles / wanted
        damage = self._trees.damage(folder)
        found = self._brought(wanted) if damage else None
        if damage and found is None:
            raise WorldError(
                Problem(
                    f"the bundle {wanted[:12]} of that release is no longer here as it was: {damage}",
                    "build and deploy that version again",
                )
            )
        if damage and found is not None:
            bundles.materialise(found, folder)
            write_listing(found, folder)
            self._trees.forget()
        return bundle_fields(folder)

    def _brought(self, wanted: str) -> bundles.Bundle | None:
        """The bundle that this deploy brings along: just put together, or built before."""
        artifact, output = self._request.artifact, self._request.output
        if artifact is not None and output is not None and PYTHON in artifact.facts:
            return opened(artifact, output)
        return next((each for each in self._request.bundles.values() if each.hash == wanted), None)

    def _config(self, resource: Resource) -> Mapping[str, Value]:
        file = self._places.configs / f"{resource.name}.json"
        text = json.dumps(resource.fields["document"], indent=1, sort_keys=True, ensure_ascii=False)
        write_atomic(file, text.encode(), mode=0o600)
        return config_fields(file)

    def _secret(self, resource: Resource) -> Mapping[str, Value]:
        """Keep the value under a new version, in a file that the server reads. An optional one may be empty."""
        source, wanted = resource.fields["source"], resource.fields["version"]
        folder = self._places.secrets / resource.name
        before = secret_fields(folder)["version"]
        if isinstance(wanted, str) and wanted != before and (folder / wanted).is_file():
            return self._point(resource, wanted)  # a push that failed is undone
        value = self._read(source)
        if value is None and resource.fields["required"]:
            raise without_value(resource.name, source)
        version = secrets.token_hex(8)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The server that still runs reads the version before this one, should it have to start again.
        for earlier in folder.iterdir():
            if earlier.name not in {before, "secret.json"}:
                earlier.unlink()
        write_atomic(folder / version, value or b"", mode=0o600)
        return self._point(resource, version)

    def _point(self, resource: Resource, version: str) -> Mapping[str, Value]:
        folder = self._places.secrets / resource.name
        about = {name: resource.fields[name] for name in ("source", "required")} | {"version": version}
        write_atomic(folder / "secret.json", json.dumps(about).encode(), mode=0o600)
        return secret_fields(folder)

    def _key(self, resource: Resource) -> Mapping[str, Value]:
        folder = self._places.keys / resource.name
        make_key(folder, resource.fields["bytes"])
        return key_fields(folder)

    def _install(self, resource: Resource) -> Mapping[str, Value]:
        fields = self._unit.install(resource.fields["python"])
        self._request.progress.note(
            f"{self._unit.name} starts it when you log in; loginctl enable-linger makes that when the machine starts"
        )
        return fields

    def _read(self, source: str) -> bytes | None:
        project = self._request.manifest.project if self._request.manifest else Path()
        value = Sources(self._request.environ, project).read(source)
        self._values.append(as_shown(value))
        return value or None

    def _server(self, resource: Resource) -> Mapping[str, Value]:
        fields = dict(resource.fields)
        if isinstance(fields.get("port"), Generated):
            before = self._daemon.wanted(resource.name) or {}
            fields["port"] = before.get("port") or _free_port(fields["host"])
        generation = self._daemon.tell(resource.name, self._spec(resource.name, fields))
        slot = self._daemon.settled(resource.name, generation, fields["start_timeout"] + _STOP_SECONDS)
        if slot["state"] != "running" or slot["failed"]:
            raise self._not_up(resource.name, slot)
        return server_fields(slot, self._trees) or {}

    def _spec(self, name: str, fields: Mapping[str, Value]) -> dict[str, Any]:
        folder = Path(fields["bundle"])
        fields = {**fields, BUNDLE_MADE: self._trees.made(folder)}
        argv = [fields["python"], "-S", "-P", "-m", "mcp_tool", "serve", "--transport", "http"]
        return {
            "revision": digest({"server": name, **fields})[:16],
            "argv": [*argv, "--bundle", str(folder), "--config", fields["config"]],
            "env": {"PYTHONPATH": f"{folder / 'lib'}:{folder / 'app'}", "PYTHONDONTWRITEBYTECODE": "1"},
            "host": fields["host"],
            "port": fields.get("port", 0),
            # Not /readyz: with no other replica to turn to, a server whose services are away is better than none.
            "ready": "/healthz",
            "log": str(self._places.log(name)),
            "log_bytes": fields["log_size"],
            "log_files": fields["log_files"] if name == SERVER.name else 0,
            "start_seconds": fields["start_timeout"],
            "stop_seconds": _STOP_SECONDS,
            "fields": fields,
        }

    def _not_up(self, name: str, slot: Mapping[str, Any]) -> UserError:
        log = self._places.log(name)
        lines = redact("\n".join(map(spoken, tail(log, _SHOWN_LINES))), self._values)
        return UserError(
            Problem(
                slot["error"] or f"the {name} is {slot['state']}",
                "mend what its log says; mcp-pack run shows the same in the foreground",
                Place(str(log)),
                found=lines or "an empty log",
            )
        )

    def _delete(self, key: Key) -> None:
        match key.kind:
            case "home":
                remove_tree(self._places.root)
            case "scratch":
                remove_tree(self._places.root / key.name)
            case "bundle":
                # The list of its files goes first: without the folder nobody would find it again.
                for path in sorted(self._places.bundles.glob(f"{key.name}*"), reverse=True):
                    drop(path)
            case "config":
                (self._places.configs / f"{key.name}.json").unlink(missing_ok=True)
            case "secret":
                drop(self._places.secrets / key.name)
            case "key":
                drop(self._places.keys / key.name)
            case "unit":
                self._unit.remove()
            case "supervisor":
                self._daemon.end()
            case "server":
                if self._daemon.alive():
                    generation = self._daemon.tell(key.name, None)
                    # Nobody but us calls a candidate: how long it takes to go is nobody's wait.
                    self._daemon.settled(key.name, generation, _STOP_SECONDS + 5, moved=key != CANDIDATE)
            case kind:
                raise _unknown(kind)


def _endpoint(fields: Mapping[str, Value], port: str) -> Endpoint | None:
    # Who serves every address of this machine is reached by its own.
    named: str = fields["host"]
    host = _REACHED.get(named, named)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{fields[port]}{fields['path']}" if fields.get(port) else None
    return None if url is None else Endpoint(url=url, auth=Auth(fields.get("auth", "none")))


def _free_port(host: str) -> int:
    try:
        made: socket.socket = bound(host, 0)
    except OSError as error:
        raise WorldError(Problem(f"no port on {host} is free: {error.strerror}", "set [target.local] port")) from error
    with made:
        return port_of(made)


def _unknown(kind: str) -> WorldError:
    return WorldError(
        Problem(f"this version of the target local knows no {kind!r}", "use the mcp-pack version that deployed it")
    )

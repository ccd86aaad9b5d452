"""The shed: folders, servers found again by their command lines, a proxy and its route."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from mcp_packager import bundle as bundles
from mcp_packager.errors import Problem, UserError, WorldError
from mcp_packager.files import remove_tree, write_atomic
from mcp_packager.target import (
    Action,
    Endpoint,
    Key,
    Kind,
    Observed,
    Phase,
    Resource,
    State,
    Status,
    Step,
    Value,
    WorldInput,
)

from .records import Lock, Records

KINDS: Final = (
    Kind("home"),
    Kind("bundle", stable=frozenset({"path"})),
    Kind("server", replace_on=frozenset({"config", "bundle"})),
    Kind("proxy"),
    Kind("route", effect="moves clients to the new server"),
)
_ROUTE: Final = Key("route", "route")
_SECONDS: Final = 30.0


def root_of(identity_name: str, environ: Mapping[str, str]) -> Path:
    return Path(environ["MCP_PACK_HOME"]) / "shed" / identity_name


class ShedWorld:
    """One deployment in the shed."""

    def __init__(self, request: WorldInput) -> None:
        self._request = request
        self._root = root_of(request.identity.name(), request.environ)
        self._made: str | None = None
        self.kinds = KINDS
        self.records = Records(self._root / "releases")
        self.lock = Lock(self._root.with_name(f"{self._root.name}.lock"))

    def observe(self) -> Mapping[Key, Observed]:
        return {found.key: found for found in self._all()}

    def apply(self, step: Step) -> Mapping[str, Value]:
        match step.action, step.key.kind:
            case Action.DELETE, _:
                self._delete(step.key)
                return {}
            case _, "home":
                assert step.resource is not None
                write_atomic(self._root / "home.json", json.dumps(step.resource.fields["identity"]).encode())
                return step.resource.fields
            case _, kind:
                assert step.resource is not None
                make = {"bundle": self._bundle, "server": self._server, "proxy": self._proxy, "route": self._route}
                return make[kind](step.resource)

    def endpoint(self, phase: Phase, observed: Mapping[Key, Observed]) -> Endpoint | None:
        route = observed.get(_ROUTE)
        if phase is Phase.SWITCH:
            proxy = observed.get(Key("proxy", "proxy"))
            if route is None or proxy is None:
                return None
            return Endpoint(url=f"http://127.0.0.1:{proxy.fields['port']}{route.fields['path']}")
        servers = [thing for key, thing in observed.items() if key.kind == "server"]
        chosen = [thing for thing in servers if thing.name == self._made]
        newest = chosen or sorted(servers, key=lambda thing: thing.fields["since"])[-1:]
        for thing in newest:
            path = thing.fields["config"]["serve"]["path"]
            return Endpoint(url=f"http://127.0.0.1:{thing.fields['port']}{path}")
        return None

    def status(self) -> Status:
        observed = self.observe()
        endpoint = self.endpoint(Phase.SWITCH, observed)
        route = observed.get(_ROUTE)
        if not observed:
            return Status(State.ABSENT)
        runs = route is not None and Key("server", route.fields["server"]) in observed
        return Status(State.RUNNING if runs else State.STOPPED, endpoint=endpoint, replicas="1/1" if runs else "0/1")

    def logs(self, *, lines: int, follow: bool) -> Iterator[str]:
        return iter(())

    def _all(self) -> Iterator[Observed]:
        if not self._root.is_dir():
            return
        yield Observed("home", "home", {"identity": _read(self._root / "home.json")})
        for folder in sorted((self._root / "bundles").glob("[0-9a-f]*")):
            yield Observed("bundle", folder.name[:16], {"digest": folder.name, "path": str(folder)})
        running = processes(self._root)
        for file in sorted((self._root / "servers").glob("*.json")):
            if file.stem in running:
                about = _read(file) or {}
                yield Observed("server", file.stem, {**about, "since": file.stat().st_mtime})
        if "proxy" in running:
            yield Observed("proxy", "proxy", {"port": _read(self._root / "proxy.json")})
        if (route := _read(self._root / "route.json")) is not None:
            yield Observed("route", "route", route)

    def _bundle(self, resource: Resource) -> Mapping[str, Value]:
        wanted = resource.fields["digest"]
        folder = self._root / "bundles" / wanted
        for bundle in self._request.bundles.values():
            if bundle.hash == wanted:
                bundles.materialise(bundle, folder)
        return {"digest": wanted, "path": str(folder)}

    def _server(self, resource: Resource) -> Mapping[str, Value]:
        file = self._root / "servers" / f"{resource.name}.json"
        about = {**resource.fields, "port": _free_port()}
        config = self._root / "servers" / f"{resource.name}.config"
        write_atomic(config, json.dumps(resource.fields["config"]).encode())
        write_atomic(file, json.dumps(about).encode())
        self._end(resource.name)
        folder = Path(about["bundle"])
        argv = [about["python"], "-S", "-P", "-m", "mcp_tool", "serve", "--transport", "http", "--bundle", str(folder)]
        log = config.with_suffix(".log")
        process = _start(
            [*argv, "--config", str(config), "--port", str(about["port"])],
            log,
            {"PYTHONPATH": f"{folder / 'lib'}:{folder / 'app'}"},
        )
        deadline = time.monotonic() + _SECONDS
        while not _ready(about["port"]):
            if process.poll() is not None or time.monotonic() > deadline:
                raise UserError(
                    Problem("the server did not become ready", "mend what its log says", found=log.read_text()[-2000:])
                )
            time.sleep(0.05)
        self._made = resource.name
        return {**about, "since": file.stat().st_mtime}

    def _proxy(self, resource: Resource) -> Mapping[str, Value]:
        self._end("proxy")
        port = _read(self._root / "proxy.json") or _free_port()
        write_atomic(self._root / "proxy.json", json.dumps(port).encode())
        script = Path(__file__).with_name("proxy.py")
        _start([sys.executable, str(script), str(self._root), str(port)], self._root / "proxy.log", {})
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return {"port": port}
            time.sleep(0.05)
        raise WorldError(Problem("the proxy did not start", f"look at {self._root / 'proxy.log'}"))

    def _route(self, resource: Resource) -> Mapping[str, Value]:
        write_atomic(self._root / "route.json", json.dumps(resource.fields).encode())
        return resource.fields

    def _delete(self, key: Key) -> None:
        match key.kind:
            case "home":
                remove_tree(self._root)
            case "bundle":
                for folder in (self._root / "bundles").glob(f"{key.name}*"):
                    remove_tree(folder)
            case "server":
                self._end(key.name)
                for file in (self._root / "servers").glob(f"{key.name}.*"):
                    file.unlink()
            case "proxy":
                self._end("proxy")
                (self._root / "proxy.json").unlink(missing_ok=True)
            case _:
                (self._root / "route.json").unlink(missing_ok=True)

    def _end(self, name: str) -> None:
        """End whatever runs under that name; calls in flight are finished first."""
        deadline = time.monotonic() + _SECONDS
        number = signal.SIGTERM
        while (pids := processes(self._root).get(name)) is not None:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            if time.monotonic() > deadline:
                number = signal.SIGKILL
            with suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            time.sleep(0.1)


def processes(root: Path) -> dict[str, list[int]]:
    """The deployment's processes by the server they are, or ``proxy``."""
    found: dict[str, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = entry.read_bytes().decode("utf-8", "replace").split("\0")
            for word in words:
                if word == str(root):
                    found.setdefault("proxy", []).append(int(entry.parent.name))
                elif word.startswith(f"{root / 'servers'}/") and word.endswith(".config"):
                    found.setdefault(Path(word).stem, []).append(int(entry.parent.name))
    return found


def _start(argv: list[str], log: Path, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with log.open("ab") as out:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**kept, **environ}, start_new_session=True
        )


def _ready(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=1)) as connection:
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None

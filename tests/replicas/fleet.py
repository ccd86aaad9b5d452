"""Replicas of one server behind nginx, with a Redis between them: all real processes on loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import real_parts
from tests.serve.process import ENVELOPE, JSON, MODERN, START, command, message

UPSTREAM = "x-upstream"
"""Response header in which nginx says which replica answered."""

STATE_KEY = "a state key of thirty-two bytes!!"


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(condition: Callable[[], bool], seconds: float = START) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@dataclass
class Endpoint:
    """Somewhere to send requests to: one replica, or nginx."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers by lower-case name and body, over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def ask(
        self,
        era: str,
        method: str,
        params: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        **declared: Any,
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """One request of an era: the message with its answer, and the response's headers.

        `declared` are the client's capabilities, which only the newer era sends along.
        """
        status, told, answer = self.send("POST", "/mcp", *request(era, method, params, headers, **declared))
        assert status in {200, 400, 404}, (status, answer)
        return message(answer), told

    def status(self, era: str, method: str, params: Mapping[str, Any], **headers: str) -> int:
        """The HTTP status of one request."""
        return self.send("POST", "/mcp", *request(era, method, params, headers))[0]

    def is_ready(self) -> bool:
        try:
            return self.send("GET", "/readyz")[0] == 200
        except OSError:
            return False


def request(
    era: str, method: str, params: Mapping[str, Any], headers: Mapping[str, str] | None = None, **declared: Any
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of one request."""
    sent = {**JSON, "mcp-protocol-version": era}
    if era == MODERN:
        sent["mcp-method"] = method
        if "name" in params or "uri" in params:
            sent["mcp-name"] = params.get("name") or params["uri"]
        meta = ENVELOPE | {"io.modelcontextprotocol/clientCapabilities": declared}
        params = {**params, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    return body, sent | dict(headers or {})


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


@dataclass
class Replica(Endpoint):
    """One process of the server. It chooses its port, as a container would have an address of its own."""

    folder: Path
    bundle: Path
    config: Mapping[str, Any]
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "stderr.log"

    def successor(self, config: Mapping[str, Any]) -> Replica:
        """What takes its place."""
        return Replica(0, self.folder.with_name(f"{self.folder.name}-next"), self.bundle, config)

    def start(self) -> None:
        """Start it; it listens some time later."""
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.folder / "config.json"
        settings.write_text(json.dumps({"schema": 1, **self.config}), encoding="utf-8")
        line = command(self.bundle, "--transport", "http", "--port", "0", "--config", str(settings))
        with self.log.open("wb") as stderr:
            self.process = subprocess.Popen(line, stdout=stderr, stderr=stderr)

    def wait(self) -> None:
        """Until it is ready."""
        assert eventually(self._listens), self.log.read_text(encoding="utf-8")
        assert eventually(self.is_ready), self.log.read_text(encoding="utf-8")

    def _listens(self) -> bool:
        for line in self.lines():
            if line.get("msg") == "listening":
                self.port = int(line["url"].rpartition(":")[2].partition("/")[0])
                return True
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
        return False

    def lines(self) -> list[dict[str, Any]]:
        """What it logged since it was started, whole lines only."""
        text = self.log.read_text(encoding="utf-8")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def terminate(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        assert self.process is not None
        return self.process.wait(40)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@dataclass
class Nginx(Endpoint):
    """Round robin over replicas.

    It keeps connections to them open between requests, and gives no request to a second replica: what a replica loses,
    the client sees.
    """

    folder: Path
    authorization: str | None = None
    process: subprocess.Popen[bytes] | None = None
    generation: int = 0

    def serve(self, replicas: Sequence[Endpoint], down: Sequence[Endpoint] = ()) -> None:
        """Take these replicas from now on; those that are down get no new requests. Returns when it is so."""
        self.generation += 1
        (self.folder / "nginx.conf").write_text(self._config(replicas, down), encoding="utf-8")
        if self.process is None:
            with (self.folder / "nginx.log").open("wb") as log:
                line = [str(real_parts.nginx()), "-e", "stderr", "-c", str(self.folder / "nginx.conf")]
                self.process = subprocess.Popen(line, stdout=log, stderr=log)
        else:
            self.process.send_signal(signal.SIGHUP)
        assert eventually(self._has_taken_it), (self.folder / "nginx.log").read_text(encoding="utf-8")

    def _has_taken_it(self) -> bool:
        try:
            return self.send("GET", "/generation")[2] == str(self.generation).encode()
        except OSError:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "nginx.log").read_text(encoding="utf-8")
            return False

    def _config(self, replicas: Sequence[Endpoint], down: Sequence[Endpoint]) -> str:
        servers = "\n".join(
            f"    server 127.0.0.1:{replica.port} max_fails=0{' down' if replica in down else ''};"
            for replica in replicas
        )
        temporary = "\n".join(
            f"  {kind}_temp_path {self.folder / kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        header = f'proxy_set_header Authorization "{self.authorization}";' if self.authorization else ""
        user = "user root;" if os.getuid() == 0 else ""
        return f"""
daemon off;
worker_processes 1;
pid {self.folder / "nginx.pid"};
error_log stderr warn;
{user}
events {{ worker_connections 1024; }}
http {{
  access_log off;
{temporary}
  upstream replicas {{
{servers}
    keepalive 16;
  }}
  server {{
    listen 127.0.0.1:{self.port} backlog=1024;
    client_max_body_size 8m;
    location = /generation {{ return 200 "{self.generation}"; }}
    location / {{
      proxy_pass http://replicas;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      {header}
      proxy_next_upstream off;
      proxy_read_timeout 120s;
      add_header {UPSTREAM} $upstream_addr always;
    }}
  }}
}}
"""

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@dataclass
class Redis:
    """A Redis that asks for a password and keeps nothing on disk."""

    folder: Path
    port: int = field(default_factory=free_port)
    password: str = "pass-word-of-redis"
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        line = [str(real_parts.redis()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        line += ["--appendonly", "no", "--dir", str(self.folder), "--requirepass", self.password]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(line, stdout=log, stderr=log)
        assert eventually(self._listens), (self.folder / "redis.log").read_text(encoding="utf-8")

    def _listens(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return True
        except OSError:
            return False

    def drop_connections(self) -> None:
        """End every connection but the one that asks for it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as asking:
            asking.sendall(f"AUTH {self.password}\r\nCLIENT KILL TYPE normal SKIPME yes\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2:
                answer += asking.recv(1000)
        assert answer.startswith(b"+OK\r\n:"), answer

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@dataclass
class Fleet:
    """What stands behind one address.

    Attributes:
        front: nginx; the address.
        replicas: The processes behind it.
        redis: What is between them; None where nothing is.
    """

    front: Nginx
    replicas: list[Replica]
    redis: Redis | None = None

    def stop(self) -> None:
        self.front.stop()
        for replica in self.replicas:
            replica.kill()
        if self.redis is not None:
            self.redis.kill()


def secret(folder: Path, name: str, value: str) -> dict[str, str]:
    """A secret in a file, as a config refers to it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(value, encoding="utf-8")
    return {"file": str(folder / name)}


@contextlib.contextmanager
def fleet(
    folder: Path,
    bundle: Path,
    count: int,
    serve: Mapping[str, Any] | None = None,
    authorization: str | None = None,
    *,
    redis: bool = True,
) -> Iterator[Fleet]:
    """Replicas of a bundle behind nginx until the block ends.

    Args:
        folder: For configs, logs and keys.
        serve: More for the `serve` section of their config.
        authorization: The header that nginx puts on every request.
    """
    for part in ("nginx", "redis"):
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir(parents=True)
    between = Redis(folder / "redis") if redis else None
    shared: dict[str, Any] = {"state_keys": [secret(folder, "state-key", STATE_KEY)]}
    if between is not None:
        shared["events"] = secret(folder, "redis-url", between.url)
    config = {"serve": {**shared, **(serve or {})}}
    replicas = [Replica(0, folder / f"replica-{number}", bundle, config) for number in range(count)]
    running = Fleet(Nginx(free_port(), folder / "nginx", authorization), replicas, between)
    try:
        if between is not None:
            between.start()
        for replica in replicas:
            replica.start()
        for replica in replicas:
            replica.wait()
        running.front.serve(replicas)
        yield running
    finally:
        running.stop()

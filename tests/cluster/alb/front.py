"""nginx as the load balancers: one for all, each at an address of its own on loopback, at the ports 80 and 443.

Which request goes where is looked up in a table by ``balancing.lua``, so that a change of targets closes nobody's
connection, as a reload of nginx would.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.cluster.alb.model import Action, Balancer, Fixed, Forward, Listener, Redirect, Target

ADDRESSES = tuple(f"127.0.10.{number}" for number in range(1, 9))
"""One for each load balancer; the first is that of the plain class."""
_SECONDS = 15.0
_IDLE = 60.0
_HTTP = """\
daemon off;
user root;
worker_processes 1;
pid {place}/nginx.pid;
error_log {place}/log/error.log warn;
load_module modules/ndk_http_module.so;
load_module modules/ngx_http_lua_module.so;
events {{ worker_connections 2048; }}
http {{
  lua_package_path "{code}/?.lua;;";
  lua_shared_dict balancing 8m;
  log_format seen escape=json '{{"time": $msec, "at": "$server_addr", "scheme": "$scheme", "host": "$host",'
    ' "method": "$request_method", "uri": "$request_uri", "status": $status, "target": "$upstream_addr"}}';
  access_log {place}/log/access.log seen;
{temporary}
  client_max_body_size 0;
  underscores_in_headers on;
  server_tokens off;
  server {{
    listen unix:{place}/control;
    access_log off;
    client_body_buffer_size 8m;
    location / {{ content_by_lua_block {{ require("balancing").write() }} }}
  }}
{servers}
}}
"""
_SERVER = """\
  upstream of_{name} {{
    server 0.0.0.1;
    balancer_by_lua_block {{ require("balancing").peer() }}
    keepalive 64;
    keepalive_timeout {idle}s;
    keepalive_requests 1000000;
  }}
  server {{
    listen {address}:80 backlog=1024;
    listen {address}:443 ssl http2 backlog=1024;
    ssl_certificate {place}/{pair}.crt;
    ssl_certificate_key {place}/{pair}.key;
    ssl_certificate_by_lua_block {{ require("balancing").certificate() }}
    keepalive_timeout {idle}s;
    keepalive_requests 1000000;
    location / {{
      access_by_lua_block {{ require("balancing").route() }}
      proxy_pass http://of_{name};
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Port $server_port;
      {headers}
    }}
  }}
"""
_BALANCED = """proxy_next_upstream off;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Amzn-Trace-Id "Root=1-$request_id";"""
_PLAIN = """proxy_next_upstream error timeout;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Request-ID $request_id;"""


class Front:
    """nginx, with its files in ``place``; ``own.crt`` and ``own.key`` are there for all load balancers."""

    def __init__(self, nginx: Path, place: Path) -> None:
        self._nginx, self._place = nginx, place
        self._idle = dict.fromkeys(ADDRESSES, _IDLE)
        self._process: subprocess.Popen[bytes] | None = None
        self._written = ""

    def start(self) -> None:
        """Start it; it refuses every request until something is written."""
        self._configure()
        # Should this process be killed, nginx and its worker are to end as well.
        line = ["setpriv", "--pdeathsig", "TERM", str(self._nginx), "-c", str(self._place / "nginx.conf")]
        line += ["-e", str(self._place / "log" / "error.log")]
        self._process = subprocess.Popen(line, stdin=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + _SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self._put("{}")
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise SystemExit(f"nginx is not up: {(self._place / 'log' / 'error.log').read_text()[-2000:]}")

    def write(self, balancers: Mapping[str, Balancer], able: Mapping[str, Sequence[Target]]) -> None:
        """Serve these from now on.

        Args:
            balancers: By address.
            able: The targets of each group, by its name, that are to be given requests.
        """
        idle = {address: balancers[address].idle if address in balancers else _IDLE for address in ADDRESSES}
        if idle != self._idle:
            assert self._process is not None
            self._idle = idle
            self._configure()
            self._process.send_signal(signal.SIGHUP)
        table = json.dumps({address: _balancer(each, able) for address, each in balancers.items()}, sort_keys=True)
        if table != self._written:
            self._put(table)
            self._written = table

    def stop(self) -> None:
        """End it, with what it still has."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def _configure(self) -> None:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "\n".join(f"  {kind}_temp_path {self._place}/{kind};" for kind in kinds)
        servers = "".join(
            _SERVER.format(
                address=address,
                name=address.replace(".", "_"),
                idle=int(self._idle[address]),
                place=self._place,
                pair="unknown" if address == ADDRESSES[0] else "own",
                headers=_PLAIN if address == ADDRESSES[0] else _BALANCED,
            )
            for address in ADDRESSES
        )
        text = _HTTP.format(place=self._place, code=Path(__file__).parent, temporary=temporary, servers=servers)
        (self._place / "nginx.conf").write_text(text)

    def _put(self, table: str) -> None:
        connection = _Local(str(self._place / "control"))
        try:
            connection.request("PUT", "/", table)
            answer = connection.getresponse()
            assert answer.status == 200, (answer.status, answer.read())
            answer.read()
        finally:
            connection.close()


class _Local(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_SECONDS)
        self.sock.connect(self._path)


def _balancer(balancer: Balancer, able: Mapping[str, Sequence[Target]]) -> dict[str, Any]:
    return {
        "idle": balancer.idle,
        "listeners": {scheme: _listener(each) for scheme, each in balancer.listeners.items()},
        "targets": {
            name: [{"address": target.address, "port": target.port} for target in able.get(name, ())]
            for name in balancer.groups
        },
        "certificates": {host: list(pair) for host, pair in balancer.certificates.items()},
    }


def _listener(listener: Listener) -> dict[str, Any]:
    rules = [
        {
            "hosts": list(rule.hosts),
            "paths": list(rule.paths),
            "action": _action(rule.action),
            "body": rule.body,
            "silence": rule.silence,
        }
        for rule in listener.rules
    ]
    return {"rules": rules, "default": _action(listener.default)}


def _action(action: Action) -> dict[str, Any]:
    match action:
        case Forward(groups):
            return {"kind": "forward", "groups": [{"name": name, "weight": weight} for name, weight in groups]}
        case Fixed(status, body, content_type):
            return {"kind": "fixed", "status": status, "body": body, "content_type": content_type}
        case Redirect(status):
            return {"kind": "redirect", "status": status}

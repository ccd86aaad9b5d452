"""Containers of one deployment, whatever they run: made, looked at, asked, ended."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from mcp_packager.errors import Problem, UserError
from mcp_packager.process import redact
from mcp_packager.target import Key, Resource, Value
from mcp_targets.docker.daemon import Daemon, speaking
from mcp_targets.docker.names import Names, fields_of

PYTHON: Final = ("python3", "-S", "-P")
"""How the tool's image runs what is no tool."""
PAUSE: Final = 0.1
"""Seconds between two looks at what is awaited."""
_SHOWN_LINES: Final = 12


class Containers:
    """The containers of one deployment. ``hidden`` are values that no log line that is shown may hold."""

    def __init__(self, daemon: Daemon, names: Names, hidden: Sequence[str]) -> None:
        self._daemon = daemon
        self._names = names
        self._hidden = hidden

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

    def run(
        self,
        resource: Resource,
        *,
        image: str,
        alias: str,
        stop_seconds: int,
        command: list[str] | None = None,
        entrypoint: list[str] | None = None,
        environment: Mapping[str, str] | None = None,
        health: Mapping[str, Any] | None = None,
        user: str | None = None,
        **host: Any,
    ) -> int:
        """Make and start it; one that is there as it is wanted is only started, another one makes room.

        ``user`` is the image's own where unset. ``host`` are arguments of docker-py's ``create_host_config``, which win
        over the hardening that all but services get. The answer is how often the engine had started it again before: a
        container that ran already keeps that count.
        """
        api = self._daemon.api
        wanted = self._names.labels(resource.key, resource.fields)
        there = self.inspect(resource.key)
        if there is not None and fields_of(there["Config"]["Labels"]) != fields_of(wanted):
            self.remove(resource.key, stop_seconds=stop_seconds)
            there = None
        ours = resource.kind != "service"
        machine = {"host.docker.internal": "host-gateway"} if ours and resource.kind != "front" else None
        with speaking():
            if there is None:
                hardening = {
                    "init": True,
                    "read_only": ours,
                    "cap_drop": ["ALL"] if ours else None,
                    "security_opt": ["no-new-privileges"],
                    "extra_hosts": machine,
                }
                settings = api.create_host_config(**{**hardening, **host})
                network = self._names.of("network", "network")
                api.create_container(
                    image,
                    command=command,
                    entrypoint=entrypoint,
                    name=self.name(resource.key),
                    labels=wanted,
                    environment=dict(environment or {}),
                    ports=[int(port.partition("/")[0]) for port in host.get("port_bindings") or ()] or None,
                    user=user,
                    healthcheck=None if health is None else dict(health),
                    host_config=settings,
                    networking_config=api.create_networking_config(
                        {network: api.create_endpoint_config(aliases=[alias])}
                    ),
                )
            api.start(self.name(resource.key))
        return int(there["RestartCount"]) if there is not None and there["State"]["Running"] else 0

    def remove(self, key: Key, *, stop_seconds: int) -> None:
        """Ask it to end, wait that long, and remove it; one that is gone is fine."""
        self._daemon.remove(self.name(key), stop_seconds=stop_seconds)

    def execute(self, key: Key, command: list[str]) -> tuple[int, str]:
        """Run a command inside; its exit code and what it said, 1 and why where the container does not run."""
        import docker

        api = self._daemon.api
        with speaking():
            try:
                made = api.exec_create(self.name(key), command)["Id"]
                said = api.exec_start(made).decode("utf-8", "replace")
            except docker.errors.APIError as error:
                if error.status_code in {409, 500}:  # it does not run (any more, or yet)
                    return 1, str(error.explanation)
                raise
            code = api.exec_inspect(made)["ExitCode"]
        return (1 if code is None else code), said.strip()

    def not_up(self, what: str, key: Key, why: str, fix: str) -> UserError:
        """The problem of one that did not become what was waited for, with its last log lines."""
        name = self.name(key)
        with speaking():
            log = self._daemon.api.logs(name, tail=_SHOWN_LINES, stdout=True, stderr=True)
        lines = redact(log.decode("utf-8", "replace").strip(), list(self._hidden))
        return UserError(Problem(why, f"{fix}: docker logs {name}", found=lines or f"{what} wrote nothing"))


def health(test: Sequence[str], *, interval: float, timeout: float, retries: int, start: float) -> dict[str, Any]:
    """A health check as Docker's API has it. Durations are seconds here and nanoseconds there."""
    return {
        "test": ["CMD", *test],
        "interval": int(interval * 1e9),
        "timeout": int(timeout * 1e9),
        "retries": retries,
        "start_period": int(start * 1e9),
    }


def limits(fields: Mapping[str, Value]) -> dict[str, Any]:
    """Memory, CPU and the size of the log, as arguments of docker-py's ``create_host_config``."""
    memory, cpu = fields["memory"], fields["cpu"]
    return {
        # No swap beside it: a tool that needs more is to be killed at its limit, not to crawl.
        **({"mem_limit": memory, "memswap_limit": memory} if memory else {}),
        **({"nano_cpus": int(cpu * 1e9)} if cpu else {}),
        "log_config": log_config(fields["log_size"], fields["log_files"]),
    }


def log_config(size: int, files: int) -> dict[str, Any]:
    """How logs are kept: ``files`` of at most ``size`` bytes."""
    return {"Type": "json-file", "Config": {"max-size": str(size), "max-file": str(files)}}


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

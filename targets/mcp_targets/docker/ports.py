"""The port that clients know: kept in the label of a volume, which outlives whatever publishes it."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Key, Resource
from mcp_targets.docker.daemon import Daemon, speaking
from mcp_targets.docker.names import Names, fields_of
from mcp_targets.docker.render import FRONT, SERVER

KEPT: Final = "state"
"""The name of the key of such a volume."""


class Ports:
    """The ports of one deployment. The front, and a server without one, have a volume each."""

    def __init__(self, daemon: Daemon, names: Names) -> None:
        self._daemon = daemon
        self._names = names

    def settled(self, resource: Resource) -> Resource:
        """The resource with the port that it gets: the one it names, else the one that clients know, else a free one.

        Raises:
            WorldError: none is free.
        """
        port = resource.fields["port"]
        if not isinstance(port, int):
            others = (key.kind for key in (FRONT, SERVER) if key.kind != resource.kind)
            kept = (self._kept(kind) for kind in (resource.kind, *others))
            port = next((known for known in kept if known), None) or _free_port(resource.fields["host"])
        with speaking():
            # It outlives a container that somebody removed, and so does the port that clients know.
            labels = self._names.labels(Key(resource.kind, KEPT), {"port": port})
            self._daemon.api.create_volume(self.volume(resource.kind), labels=labels)
        return replace(resource, fields={**resource.fields, "port": port})

    def forget(self, kind: str) -> None:
        """Remove the volume."""
        self._daemon.remove_volume(self.volume(kind))

    def volume(self, kind: str) -> str:
        """What the volume of a kind is called."""
        return self._names.of(kind)

    def _kept(self, kind: str) -> int | None:
        import docker

        with speaking():
            try:
                labels = self._daemon.api.inspect_volume(self.volume(kind))["Labels"] or {}
            except docker.errors.NotFound:
                return None
        port = fields_of(labels).get("port")
        return port if isinstance(port, int) else None


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((host, 0))
            return int(probe.getsockname()[1])
    except OSError as error:
        raise WorldError(Problem(f"no port on {host} is free: {error.strerror}", "set [target.docker] port")) from error

"""A real Kubernetes of one node, in namespaces of its own; and whatever cluster a user names instead."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests import real_parts
from tests.cluster import customs, machine, settings
from tests.containers import bases
from tests.image import registries

KUBECONFIG = "MCP_PACK_TEST_KUBECONFIG"
"""Names the kubeconfig of a cluster that the tests are to use instead of their own."""
REGISTRY = "MCP_PACK_TEST_REGISTRY"
"""``host:port`` of a registry without TLS that this machine pushes to and that cluster pulls from by the same name."""
_SECONDS = 90.0
_PROGRAMS = ("kubernetes", "coredns", "metrics-server", "docker-registry")


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs.

    Attributes:
        kubeconfig: A file for a user who may do everything.
        registry: ``host:port`` to push images to; the cluster pulls them by the same name, and by any other host's.
        place: Keys, settings and logs; ``None`` for a cluster that is not ours.
    """

    kubeconfig: Path
    registry: str
    place: Path | None = None

    def kubectl(self, *arguments: str, stdin: str | None = None, seconds: float = 60.0) -> str:
        """What ``kubectl`` prints; an assertion that says its complaint where it fails."""
        line = [str(real_parts.PARTS["kubernetes"]()), "kubectl", f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(line, input=stdin, capture_output=True, text=True, check=False, timeout=seconds)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr or done.stdout}"
        return done.stdout

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Make these objects be there, by the server."""
        bundle = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=bundle)

    def get(self, *arguments: str) -> Any:
        """What ``kubectl get`` answers, as data."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def host(self) -> str:
        """Where its API is."""
        return (
            urlsplit(
                self.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
            ).hostname
            or ""
        )

    def logs(self) -> str:
        """The last lines that each part of it wrote, for a failure's message."""
        if self.place is None:
            return "the logs of this cluster are elsewhere"
        return "\n".join(f"== {file.name}\n{file.read_text()[-1500:]}" for file in sorted(self.place.glob("log/*")))


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """Start a cluster and its registry; end it with all that it ran."""
    taken = machine.taken()
    assert taken is None, taken
    # Paths of sockets have 108 bytes at most, and pytest's folders are long.
    place = Path(tempfile.mkdtemp(prefix="mcp-pack-k8s-"))
    registry, group = f"127.0.0.1:{registries.free_port()}", f"/{place.name}"
    settings.write(place, registry, group)
    (place / "node.json").write_text(json.dumps(_told(group)))
    line = [sys.executable, "-m", "tests.cluster.keeper", str(place)]
    keeper = subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, cwd=Path(__file__).parents[2]
    )
    cluster = Cluster(place / "kubeconfig", registry, place)
    try:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == b"up\n", "the node's namespaces could not be made"
        _until_listening(registry)
        bases.push_program(registry, "pause", "1", real_parts.PARTS["pause"]())
        _until_ready(cluster)
        cluster.apply(*customs.definitions())
        yield cluster
    finally:
        keeper.communicate()
        assert keeper.returncode == 0


def foreign() -> Cluster | None:
    """The cluster that the user named, or ``None``."""
    named = os.environ.get(KUBECONFIG)
    return Cluster(Path(named), os.environ[REGISTRY]) if named else None


def _told(group: str) -> dict[str, Any]:
    programs = {name: str(real_parts.PARTS[name]()) for name in _PROGRAMS}
    for name in ("etcd", "containerd", "ip"):
        programs[name] = str(machine.program(name))
    return {
        "programs": programs,
        "group": group,
        "name": settings.NAME,
        "here": machine.HERE,
        "node": machine.NODE,
        "pods": machine.PODS,
        "services": machine.SERVICES,
        "api_port": settings.API_PORT,
        "metrics_port": settings.METRICS_PORT,
    }


def _until_listening(address: str) -> None:
    host, _, port = address.partition(":")
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.02)
    raise AssertionError(f"no registry at {address}")


def _until_ready(cluster: Cluster) -> None:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(AssertionError):
            cluster.kubectl("wait", "--for=condition=Ready", f"node/{settings.NAME}", "--timeout=2s")
            # Without it no Pod is let into a namespace.
            cluster.kubectl("get", "serviceaccount", "default", "--namespace", "default")
            return
        time.sleep(0.1)
    raise AssertionError(f"the node is not ready: {cluster.logs()}")

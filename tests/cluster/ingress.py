"""The load balancers of a cluster, for tests: start them, find them, see what they did."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import real_parts
from tests.cluster.alb import annotated, plain
from tests.cluster.cluster import Cluster
from tests.cluster.keys import Authority
from tests.cluster.machine import HERE

DOMAIN = "example.test"
"""Hosts in it have a certificate that the tests trust at every load balancer."""
_SECONDS = 60.0


@dataclass(frozen=True)
class Ingresses:
    """Load balancers that run.

    Attributes:
        authority: The certificate that clients are to trust.
        hosts: Which address is behind which name, as ``/etc/hosts`` says it.
    """

    place: Path
    authority: Path
    hosts: Path

    def state(self) -> Any:
        """``{"balancers": {key: …}, "refused": {key: {"reason", "message"}}}``, as of the last turn."""
        return json.loads((self.place / "state.json").read_text())

    def address(self, host: str) -> str:
        """Who is behind a host, once somebody is."""
        found: list[str] = []

        def known() -> bool:
            found[:] = [line.split()[0] for line in self.hosts.read_text().splitlines() if line.split()[1] == host]
            return bool(found)

        self.until(known, f"nobody serves {host}")
        return found[0]

    def targets(self, service: str) -> dict[str, str]:
        """States of the targets of a Service, ``namespace/name``, by their ``address:port``."""
        return {
            place: state
            for balancer in self.state()["balancers"].values()
            for group in balancer["groups"].values()
            if group["service"] == service
            for place, state in group["targets"].items()
        }

    def group(self, service: str) -> str:
        """The name of the target group of a Service."""
        found: list[str] = [
            name
            for balancer in self.state()["balancers"].values()
            for name, group in balancer["groups"].items()
            if group["service"] == service
        ]
        assert len(found) == 1, (service, found)
        return found[0]

    def until_healthy(self, service: str, count: int) -> None:
        """Wait until a Service has exactly so many healthy targets."""

        def healthy() -> bool:
            return sum(state == "healthy" for state in self.targets(service).values()) == count

        self.until(healthy, f"{service} does not have {count} healthy targets")

    def until(self, condition: Callable[[], bool], complaint: str, seconds: float = _SECONDS) -> None:
        """Wait for something."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{complaint}: {json.dumps(self.state())}\n{self.log()}"
            time.sleep(0.05)

    def log(self) -> str:
        """The last that the controller and nginx complained of."""
        files = [self.place / "log" / name for name in ("controller.log", "error.log")]
        return "\n".join(file.read_text()[-2000:] for file in files if file.exists())

    def seen(self, host: str) -> list[dict[str, Any]]:
        """What nginx logged of the requests to a host, oldest first."""
        lines = (self.place / "log" / "access.log").read_text().splitlines()
        return [entry for entry in map(json.loads, lines) if entry["host"] == host]


@contextlib.contextmanager
def balancing(cluster: Cluster) -> Iterator[Ingresses]:
    """Serve the cluster's Ingresses of the classes ``alb`` and ``nginx``, and of every class with their controllers."""
    place = Path(tempfile.mkdtemp(prefix="mcp-pack-alb-"))
    (place / "log").mkdir()
    authority = Authority(place, "tests-certificates")
    authority.pair("own", DOMAIN, DOMAIN, f"*.{DOMAIN}", HERE)
    (place / "strangers").mkdir()
    stranger = Authority(place / "strangers", "Kubernetes Ingress Controller Fake Certificate")
    pair = stranger.pair("unknown", "ingress.local", "ingress.local")
    for file in (pair.certificate, pair.key):
        shutil.copy(file, place)
    for name, controller in (("alb", annotated.CONTROLLER), ("nginx", plain.CONTROLLER)):
        cluster.apply(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "IngressClass",
                "metadata": {"name": name},
                "spec": {"controller": controller},
            }
        )
    line = [sys.executable, "-m", "tests.cluster.alb", str(place), str(cluster.kubeconfig)]
    with (place / "log" / "controller.log").open("ab") as log:
        process = subprocess.Popen(
            [*line, str(real_parts.nginx())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        started = process.stdout.readline() == b"up\n"
        assert started, (place / "log" / "controller.log").read_text()
        yield Ingresses(place, authority.certificate, place / "hosts")
    finally:
        process.communicate()
        shutil.rmtree(place, ignore_errors=True)
        assert process.returncode == 0

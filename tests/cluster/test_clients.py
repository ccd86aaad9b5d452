"""Clients and judges that this project did not write, through the load balancer, before two replicas in the cluster."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.testing import Pack
from tests import real_parts
from tests.clients.test_clients import probe, run
from tests.cluster import amazon
from tests.cluster.cluster import Cluster
from tests.cluster.ingress import Ingresses
from tests.conformance.suites import HERE, SUITES
from tests.sampling import sampled

pytestmark = [
    pytest.mark.real("own-cluster", "base-image", "balancers", "docker-registry", "node-modules"),
    pytest.mark.timeout(600),
]

NAMESPACE = "clients"
# The suites take a server for one that is to be judged in full only where its address is http://localhost.
OPTIONS = f"""
[services.between]
image = "redis:7"
ports = [6379]
volume = {{ path = "/data" }}
provides = {{ REDIS_URL = "redis://{{host}}:{{port}}/0" }}

[serve]
events = "env:REDIS_URL"

[target.eks]
cluster = "{amazon.CLUSTER}"
region = "{amazon.REGION}"
account = "{amazon.ACCOUNT}"
namespace = "{NAMESPACE}"
start_timeout = "120s"
host = "localhost"
https = false
"""


@pytest.fixture(scope="module")
def url(cluster: Cluster, ingresses: Ingresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the conformance fixture is served."""
    folder = tmp_path_factory.mktemp("clients")
    project = folder / "project"
    shutil.copytree(HERE / "fixture", project, ignore=shutil.ignore_patterns("__pycache__"))
    with (project / "mcp-tool.toml").open("a") as manifest:
        manifest.write(OPTIONS)
    cluster.apply(*amazon.deployers())
    with amazon.account(cluster, folder, hosts=ingresses.hosts, authority=ingresses.authority) as places:
        pack = Pack(project, "eks", {**places.environ, "KUBECONFIG": "/nonexistent"})
        endpoint: str = pack.deploy()["endpoint"]["url"]
        yield endpoint
        pack.run("destroy", "--yes", "--data")
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="module")
def expected(url: str) -> dict[str, Any]:
    """The Python client's answers."""
    answers = asyncio.run(probe(url, "auto"))
    assert answers["text"] == [{"type": "text", "text": "This is a simple text response for testing."}]
    return answers


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts beside the packages that they import: node looks from where a script stands."""
    folder = tmp_path_factory.mktemp("scripts")
    for script in (HERE.parent / "clients").glob("*.mjs"):
        shutil.copy(script, folder)
    (folder / "node_modules").symlink_to(real_parts.node_modules())
    return folder


def test_two_replicas_serve(url: str, cluster: Cluster, ingresses: Ingresses) -> None:
    assert url == "http://localhost/mcp"
    (workload,) = cluster.get("deployments", "-n", NAMESPACE)["items"]
    assert workload["status"]["readyReplicas"] == 2
    service = f"{NAMESPACE}/{workload['metadata']['name']}"
    # The balancer makes its own checks, and may take the second Pod a moment after the cluster calls it ready.
    ingresses.until_healthy(service, 2)


@pytest.mark.parametrize("script", ["sdk1.mjs", "client2.mjs legacy", "client2.mjs auto", "client2.mjs modern"])
def test_typescript(script: str, url: str, scripts: Path, expected: dict[str, Any]) -> None:
    name, *era = script.split()
    assert json.loads(run([str(real_parts.node()), str(scripts / name), *era, url])) == expected


@pytest.mark.real("node22")
@pytest.mark.parametrize("suite", sampled(sorted(SUITES), 1, of="conformance in a cluster"))
def test_conformance(url: str, tmp_path: Path, suite: str) -> None:
    SUITES[suite](url, tmp_path)

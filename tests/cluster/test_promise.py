"""The promise, in a cluster: the same tool, unchanged, on this machine, behind an ingress and behind Amazon's balancer.

A fresh scaffold or an example at each run, in one of both ways into a cluster; where everything is to run, all of them
in both, but for the notes, which need a database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import promise, sampling
from tests.cluster import amazon
from tests.cluster.cluster import Cluster
from tests.cluster.ingress import DOMAIN, Ingresses

pytestmark = [
    pytest.mark.real("own-cluster", "base-image", "balancers", "docker-registry"),
    pytest.mark.timeout(600),
]

_TARGETS = sampling.sampled(["kubernetes", "eks"], 1, of="clusters of the promise")
_NAMESPACES = {"kubernetes": "promise", "eks": "promise-eks"}
_WHERE = f"""
[defaults.target.kubernetes]
registry = "{{registry}}/promise"
namespace = "{_NAMESPACES["kubernetes"]}"
class = "nginx"
internal = true
https = false
host = "promise.{DOMAIN}"
start_timeout = "90s"

[defaults.target.eks]
cluster = "{amazon.CLUSTER}"
region = "{amazon.REGION}"
account = "{amazon.ACCOUNT}"
namespace = "{_NAMESPACES["eks"]}"
host = "promise-eks.{DOMAIN}"
start_timeout = "90s"
"""


@dataclass(frozen=True)
class Placed:
    """A folder whose projects go into the cluster, and where they find it."""

    folder: Path
    environ: Mapping[str, str]


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, ingresses: Ingresses) -> Iterator[Placed]:
    folder = tmp_path_factory.mktemp("promise")
    (folder / "mcp-workspace.toml").write_text(promise.WORKSPACE + _WHERE.format(registry=cluster.registry))
    environ = {"MCP_PACK_HOME": str(folder / "home")}
    with ExitStack() as stack:
        if "eks" in _TARGETS:
            cluster.apply(*amazon.deployers())
            keys = tmp_path_factory.mktemp("amazon")
            told = amazon.account(cluster, keys, hosts=ingresses.hosts, authority=ingresses.authority)
            environ |= stack.enter_context(told).environ
        yield Placed(folder, environ)
    for target in _TARGETS:
        cluster.kubectl("delete", "namespace", _NAMESPACES[target], "--ignore-not-found", "--wait=false")


@pytest.mark.parametrize("name", sampling.sampled(promise.ALONE, 1, of="promise in a cluster"))
def test_one_tool_everywhere(name: str, placed: Placed) -> None:
    with promise.project(name, placed.folder) as (folder, environ):
        promise.alike(folder, ("local", *_TARGETS), {**placed.environ, **environ})

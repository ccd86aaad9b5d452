"""The promise, on Kubernetes: the same tool, unchanged, on this machine and in a cluster behind an ingress.

A fresh scaffold or an example at each run, all of them where everything is to run, but for the notes, which need a
database.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import promise, sampling
from tests.cluster.cluster import Cluster
from tests.cluster.ingress import DOMAIN, Ingresses

pytestmark = [pytest.mark.real("own-cluster", "base-image", "balancers"), pytest.mark.timeout(600)]

_NAMESPACE = "promise"
_TARGET = """
[defaults.target.kubernetes]
registry = "{registry}/promise"
namespace = "{namespace}"
class = "nginx"
internal = true
https = false
host = "promise.{domain}"
start_timeout = "90s"
"""


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, ingresses: Ingresses) -> Iterator[Path]:
    """A folder whose projects go into the cluster."""
    del ingresses  # clients come in there
    folder = tmp_path_factory.mktemp("promise")
    where = _TARGET.format(registry=cluster.registry, namespace=_NAMESPACE, domain=DOMAIN)
    (folder / "mcp-workspace.toml").write_text(promise.WORKSPACE + where)
    yield folder
    cluster.kubectl("delete", "namespace", _NAMESPACE, "--ignore-not-found", "--wait=false")


@pytest.mark.parametrize("name", sampling.sampled(promise.ALONE, 1, of="promise on kubernetes"))
def test_one_tool_in_two_places(name: str, placed: Path) -> None:
    with promise.project(name, placed) as (folder, environ):
        promise.alike(folder, ("local", "kubernetes"), {"MCP_PACK_HOME": str(placed / "home"), **environ})

"""A Kubernetes and its registry. All tests here run in one worker and share them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import cluster as clusters
from tests.cluster.cluster import Cluster
from tests.cluster.ingress import Ingresses, balancing
from tests.cluster.machine import NODE
from tests.containers import bases
from tests.sampling import sampled, whole

MINOR = "{}.{}".format(*sys.version_info)
_NAMES = Path(__file__).with_name("names")

_LONG = (
    "test_canary.py",
    "test_eks.py::TestEks",
    "test_handover.py",
    "test_narrowing.py",
    "test_scaling.py",
    "test_shares.py",
)
"""What takes minutes each, and runs with the long matrices alone (``make test-all``)."""
_DRAWN = ("test_clients.py", "test_traffic.py")
"""The same, of which each run takes one."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the longest tests to the whole run, and allow for the start of a cluster on a busy machine."""
    left = () if whole() else (*_LONG, *sorted({*_DRAWN} - {*sampled(_DRAWN, 1, of="long tests of a cluster")}))
    long = [item for item in items if any(f"tests/cluster/{name}" in item.nodeid for name in left)]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    for item in items:
        if item.path.parent == Path(__file__).parent and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def cluster(own_addresses: set[str]) -> Iterator[Cluster]:
    """The cluster of the session, with the base images in its registry. Tests take namespaces of their own in it."""
    named = clusters.foreign()
    if named is not None:
        own_addresses.add(named.host())
        _fill(named)
        yield named
        return
    own_addresses.add(NODE)
    with clusters.running() as running:
        _fill(running)
        yield running


@pytest.fixture(autouse=True, scope="session")
def _places(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where every ``mcp-pack`` of these tests finds cluster and base images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(cluster.kubeconfig))
        patch.setenv("MCP_PACK_REGISTRY_MIRROR", cluster.registry)
        patch.setenv("DOCKER_CONFIG", str(tmp_path_factory.mktemp("docker-config")))
        yield


def _fill(cluster: Cluster) -> None:
    bases.push(cluster.registry, MINOR)
    bases.push_redis(cluster.registry)


@pytest.fixture(scope="session")
def ingresses(cluster: Cluster, own_hosts: list[Path]) -> Iterator[Ingresses]:
    """The load balancers of the cluster. Clients find them by the hosts of the Ingresses, and trust them."""
    with balancing(cluster) as serving, pytest.MonkeyPatch.context() as patch:
        own_hosts.append(serving.hosts)
        patch.setenv("SSL_CERT_FILE", str(serving.authority))
        patch.setenv("NODE_EXTRA_CA_CERTS", str(serving.authority))
        # For children: Pythons and Nodes look into this file first.
        patch.setenv("PYTHONPATH", str(_NAMES), prepend=os.pathsep)
        patch.setenv("NODE_OPTIONS", f"--require={_NAMES / 'lookup.cjs'}", prepend=" ")
        patch.setenv("MCP_PACK_TEST_HOSTS", str(serving.hosts))
        yield serving
        own_hosts.remove(serving.hosts)

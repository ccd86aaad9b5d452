"""The stand-in for the load balancers does what they do, in front of Pods that are not ours."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.ingress import Ingresses
from tests.cluster.plain_pods import deployment, ingress

pytestmark = pytest.mark.real("own-cluster", "base-image", "balancers")

P = "alb.ingress.kubernetes.io/"
IP = {f"{P}target-type": "ip", f"{P}healthcheck-path": "/readyz"}
NAMESPACE = "balancers"


@pytest.fixture(scope="module")
def plain(cluster: Cluster, ingresses: Ingresses) -> Iterator[None]:
    """Two Pods of ``one`` and one of ``two``, behind nothing yet."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    cluster.apply(namespace)
    cluster.apply(*deployment(cluster, NAMESPACE, "one", 2), *deployment(cluster, NAMESPACE, "two", 1))
    cluster.kubectl("rollout", "status", "-n", NAMESPACE, "deployment/one", "deployment/two", "--timeout=60s")
    yield
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def ask(
    ingresses: Ingresses,
    host: str,
    path: str,
    *,
    secure: bool = False,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, Any, dict[str, str]]:
    """Status, body (as data where it is JSON) and headers of one answer."""
    connection: http.client.HTTPConnection
    if secure:
        trusting = ssl.create_default_context(cafile=str(ingresses.authority))
        connection = http.client.HTTPSConnection(host, context=trusting, timeout=30)
    else:
        connection = http.client.HTTPConnection(host, timeout=30)
    try:
        connection.request("POST" if body else "GET", path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read()
        told = json.loads(text) if text.startswith(b"{") else text
        return answer.status, told, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def test_paths_and_hosts_lead_to_services_and_nothing_is_rewritten(
    cluster: Cluster, ingresses: Ingresses, plain: None
) -> None:
    host = "paths.example.test"
    cluster.apply(ingress(NAMESPACE, "paths", host, {"/web/mcp": "one", "/web": "two"}, IP))
    ingresses.address(host)
    ingresses.until_healthy(f"{NAMESPACE}/one", 2)
    ingresses.until_healthy(f"{NAMESPACE}/two", 1)
    status, told, _ = ask(ingresses, host, "/web/mcp/x?y=1")
    assert (status, told["path"], told["pod"][:3]) == (200, "/web/mcp/x?y=1", "one")
    assert ask(ingresses, host, "/web/mcpx")[1]["pod"].startswith("two")
    assert ask(ingresses, host, "/other")[0] == 404
    assert ask(ingresses, host, "/web", headers={"Host": "stranger.example.test"})[0] == 404
    forwarded = {name.lower(): value for name, value in told["headers"].items()}
    assert forwarded["host"] == host
    assert (forwarded["x-forwarded-for"], forwarded["x-forwarded-proto"]) == ("127.0.0.1", "http")
    assert forwarded["x-forwarded-port"] == "80"
    assert {ask(ingresses, host, "/web/mcp")[1]["pod"] for _ in range(4)} == {
        pod["metadata"]["name"] for pod in cluster.get("pods", "-n", NAMESPACE, "-l", "app=one")["items"]
    }

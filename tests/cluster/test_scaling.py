"""The autoscaler of a real cluster takes copies in and out, as the load on them says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mcp_packager.testing import Pack
from tests.cluster.cluster import Cluster
from tests.cluster.ingress import DOMAIN, Ingresses
from tests.targets.loading import client

pytestmark = [pytest.mark.real("own-cluster", "base-image", "balancers"), pytest.mark.timeout(600)]

NAMESPACE = "scaling"
MANIFEST = """\
[tool]
name = "scaled"
version = "1.0.0"
entrypoint = "scaled"

[resources]
cpu = 0.05

[scale]
min = 1
max = 2
cpu = 50

[target.kubernetes]
registry = "{registry}/scaling"
namespace = "{namespace}"
class = "nginx"
internal = true
https = false
host = "scaling.{domain}"

[[target.kubernetes.patches]]
target = "HorizontalPodAutoscaler"
merge = {{ spec = {{ behavior = {{ scaleDown = {{ stabilizationWindowSeconds = 0 }} }} }} }}
"""
CODE = '''\
from mcp_tool import tool


@tool
def greet(name: str) -> str:
    """Greet somebody, after some work."""
    return f"hello, {name}! {sum(range(2_000_000))}"
'''


@pytest.fixture
def pack(cluster: Cluster, ingresses: Ingresses, tmp_path: Path) -> Iterator[Pack]:
    """A tool of one copy at least and two at most, which takes a processor's time for each call."""
    del ingresses  # clients come in there
    folder = tmp_path / "scaled"
    folder.mkdir()
    manifest = MANIFEST.format(registry=cluster.registry, namespace=NAMESPACE, domain=DOMAIN)
    (folder / "mcp-tool.toml").write_text(manifest)
    (folder / "scaled.py").write_text(CODE)
    pack = Pack(folder, "kubernetes", {})
    pack.deploy()
    yield pack
    pack.run("destroy", "--yes", "--data")
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def test_copies_follow_the_load(
    pack: Pack, cluster: Cluster, ingresses: Ingresses, capsys: pytest.CaptureFixture[str]
) -> None:
    def copies() -> int:
        (workload,) = cluster.get("deployments", "-n", NAMESPACE)["items"]
        return int(workload["status"].get("readyReplicas", 0))

    with client() as calls, calls.load(pack.url(), least=100, seconds=120) as seen:
        assert eventually(lambda: copies() == 2), cluster.kubectl("describe", "hpa", "-n", NAMESPACE)
        # A deploy of the same leaves the number to the autoscaler.
        pack.deploy()
        assert copies() == 2
    assert eventually(lambda: copies() == 1), cluster.kubectl("describe", "hpa", "-n", NAMESPACE)
    with capsys.disabled():
        print(f"\nscaled out and in: {seen.count} calls, {len(seen.failed)} failed")
    assert seen.failed == []


def eventually(condition: Callable[[], bool], seconds: float = 180) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True

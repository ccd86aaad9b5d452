"""The cluster itself: what the tests on it rely on."""

from __future__ import annotations

import pytest

from tests.cluster.cluster import Cluster

pytestmark = pytest.mark.real("own-cluster", "base-image")


def test_a_pod_runs_python(cluster: Cluster) -> None:
    image = f"{cluster.registry}/library/python:3.11-slim"
    container = {"name": "main", "image": image, "command": ["python3", "-c", "print('hello')"]}
    spec = {"restartPolicy": "Never", "containers": [container]}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hello", "namespace": "default"}, "spec": spec}
    )
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/hello", "--timeout=30s")
    assert cluster.kubectl("logs", "hello") == "hello\n"

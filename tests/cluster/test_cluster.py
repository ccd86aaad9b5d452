"""The cluster itself: what the tests on it rely on, and that nothing of it stays behind."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import machine
from tests.cluster.cluster import Cluster
from tests.cluster.conftest import MINOR

pytestmark = pytest.mark.real("own-cluster", "base-image")

NAMESPACE = "itself"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "readOnlyRootFilesystem": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture(scope="module", autouse=True)
def _namespace(cluster: Cluster) -> Iterator[None]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": NAMESPACE, "labels": labels}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    yield
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def pod(cluster: Cluster, name: str, code: str, **spec: Any) -> dict[str, Any]:
    """A Pod that runs a piece of Python, with a restricted security context."""
    container = {
        "name": "main",
        "image": f"{cluster.registry}/library/python:{MINOR}-slim",
        "command": ["python3", "-c", code],
        "securityContext": RESTRICTED,
        "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}},
        **spec.pop("container", {}),
    }
    metadata = {"name": name, "namespace": NAMESPACE}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"restartPolicy": "Never", "containers": [container], **spec},
    }


def said(cluster: Cluster, name: str) -> str:
    """What a Pod printed until it ended well."""
    cluster.kubectl("wait", "-n", NAMESPACE, "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=60s")
    return cluster.kubectl("logs", "-n", NAMESPACE, name)


def test_a_restricted_pod_runs_and_its_limits_hold(cluster: Cluster) -> None:
    code = "import os; print(os.getuid()); open('/x', 'w')"
    cluster.apply(pod(cluster, "limited", f"try:\n exec({code!r})\nexcept OSError as error: print(error.strerror)"))
    assert said(cluster, "limited") == "10001\nRead-only file system\n"
    cluster.apply(pod(cluster, "hungry", "x = bytearray(1 << 28)"))
    cluster.kubectl("wait", "-n", NAMESPACE, "--for=jsonpath={.status.phase}=Failed", "pod/hungry", "--timeout=60s")
    status = cluster.get("pod", "hungry", "-n", NAMESPACE)["status"]["containerStatuses"][0]
    assert status["state"]["terminated"]["reason"] == "OOMKilled"


def test_what_is_not_restricted_is_refused(cluster: Cluster) -> None:
    careless = pod(cluster, "careless", "pass", container={"securityContext": {}})
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        cluster.apply(careless)


def test_pods_find_services_by_name_and_nothing_beyond_the_cluster(cluster: Cluster) -> None:
    code = (
        "import socket\n"
        "print(socket.gethostbyname('kube-dns.kube-system.svc.cluster.local'))\n"
        "try: socket.create_connection(('192.0.2.1', 80), 2)\n"
        "except OSError as error: print('no way out')"
    )
    cluster.apply(pod(cluster, "looking", code))
    assert said(cluster, "looking") == f"{machine.DNS}\nno way out\n"


def test_images_of_an_account_in_the_cloud_come_from_the_registry_of_the_tests(cluster: Cluster) -> None:
    name = f"123456789012.dkr.ecr.us-west-2.amazonaws.com/library/python:{MINOR}-slim"
    cluster.apply(pod(cluster, "cloudy", "print('hello')", container={"image": name}))
    assert said(cluster, "cloudy") == "hello\n"


def test_a_claim_is_given_a_volume_that_the_pods_group_may_write_to(cluster: Cluster) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": NAMESPACE},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    writes = "open('/data/x', 'w').write('kept'); print(open('/data/x').read())"
    cluster.apply(
        claim,
        pod(
            cluster,
            "writing",
            writes,
            container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
            volumes=[volume],
            securityContext={"fsGroup": 10001},
        ),
    )
    assert said(cluster, "writing") == "kept\n"
    (bound,) = (each for each in cluster.get("pv")["items"] if each["spec"]["claimRef"]["name"] == "data")
    cluster.kubectl("delete", "-n", NAMESPACE, "pod/writing", "pvc/data")
    assert eventually(lambda: bound["metadata"]["name"] not in cluster.kubectl("get", "pv", "-o", "name"))
    assert not Path(bound["spec"]["local"]["path"]).exists()


def test_what_pods_use_is_measured(cluster: Cluster) -> None:
    cluster.apply(pod(cluster, "busy", "while True: pass", terminationGracePeriodSeconds=0))

    def measured() -> bool:
        found = json.loads(cluster.kubectl("get", "--raw", f"/apis/metrics.k8s.io/v1beta1/namespaces/{NAMESPACE}/pods"))
        return any(each["metadata"]["name"] == "busy" for each in found["items"])

    assert eventually(measured, 90)
    cluster.kubectl("delete", "-n", NAMESPACE, "pod/busy")


def test_custom_kinds_are_judged_by_their_schemas(cluster: Cluster) -> None:
    monitor = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": {"name": "m", "namespace": NAMESPACE},
        "spec": {"selector": {}, "endpoints": [{"port": "http", "intervall": "30s"}]},
    }
    with pytest.raises(AssertionError, match="intervall"):
        cluster.apply(monitor)


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


_STARTS = """
import sys
from tests.cluster import cluster
with cluster.running() as running:
    print(running.place, flush=True)
    sys.stdin.read()
"""


def test_nothing_of_a_cluster_stays_behind_when_the_tests_are_killed() -> None:
    """In a network of its own, beside the cluster that the other tests use: two do not disturb each other."""
    root = Path(__file__).parents[2]
    line = ["unshare", "--net", sys.executable, "tests/loopback.py", sys.executable, "-c", _STARTS]
    environ = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root, env=environ, text=True
    ) as starter:
        assert starter.stdout is not None
        place = Path(starter.stdout.readline().strip())
        assert (place / "kubeconfig").is_file()
        assert len(_processes(place.name)) > 8
        starter.kill()
    assert eventually(lambda: not place.exists())
    assert _processes(place.name) == []
    assert [group for top in machine.groups() for group in top.glob(f"{place.name}*")] == []
    assert place.name not in Path("/proc/mounts").read_text()


def _processes(name: str) -> list[str]:
    """Command lines of all processes of a cluster."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        # It may end while it is looked at.
        with contextlib.suppress(OSError):
            if name.encode() in (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
    return found

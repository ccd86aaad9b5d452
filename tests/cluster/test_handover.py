"""How many copies there are, when an autoscaler takes over from the manifest, and when it gives the number back."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mcp_targets._kube.names import MANAGER
from tests import real_parts
from tests.cluster.cluster import Cluster
from tests.cluster.troubled import Tool

pytestmark = [pytest.mark.real("cluster", "base-image"), pytest.mark.timeout(600)]

NAMESPACE = "handover"


@pytest.fixture
def tool(cluster: Cluster, tmp_path: Path) -> Iterator[Tool]:
    made = Tool(cluster, tmp_path / "trouble", NAMESPACE)
    yield made
    made.pack.run("destroy", "--yes", "--data")


def write(tool: Tool, scale: str) -> None:
    tool.write("1.0.0")
    manifest = tool.folder / "mcp-tool.toml"
    text = manifest.read_text().replace("min = 1\nmax = 1\n", scale)
    manifest.write_text(text.replace('start_timeout = "20s"', 'start_timeout = "90s"'))


@contextmanager
def numbers(tool: Tool) -> Iterator[list[str]]:
    """Every number of copies that the Deployment is told to have while this is open, once it is closed."""
    seen: list[str] = []
    line = [
        *(str(real_parts.PARTS["kubernetes"]()), "kubectl", f"--kubeconfig={tool.cluster.kubeconfig}", "get"),
        *("deployments", "--namespace", NAMESPACE, "--watch", "-o", r'jsonpath={.spec.replicas}{"\n"}'),
    ]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        seen.append(watching.stdout.readline().strip())
        try:
            yield seen
        finally:
            watching.terminate()
            seen += watching.stdout.read().split()


def test_no_copy_is_lost_when_the_number_changes_hands(tool: Tool) -> None:
    write(tool, "min = 2\n")
    tool.pack.deploy()
    write(tool, "min = 1\nmax = 5\n")
    with numbers(tool) as seen:
        tool.pack.deploy()
    assert len(seen) > 1
    assert min(map(int, seen)) == 2
    tool.cluster.kubectl("scale", "deployment", "--all", "--replicas=3", "--namespace", NAMESPACE)
    assert tool.pack.run("plan", "--exit-code").code == 0, "the number is the autoscaler's"
    (scaler,) = tool.objects("horizontalpodautoscalers")
    insisting = json.dumps({"spec": {"minReplicas": 3}})
    tool.cluster.kubectl("patch", "hpa", scaler["metadata"]["name"], "-n", NAMESPACE, "--type=merge", "-p", insisting)
    assert eventually(lambda: tool.objects("deployments")[0]["spec"]["replicas"] >= 3)
    write(tool, "min = 2\n")
    with numbers(tool) as seen:
        tool.pack.deploy()
    assert set(seen[seen.index("2") :]) == {"2"}, "the autoscaler said another number after us"
    assert tool.objects("horizontalpodautoscalers") == []
    assert tool.pack.run("plan", "--exit-code").code == 0


def test_no_copy_is_lost_where_a_deploy_was_killed_after_it_said_how_many(tool: Tool) -> None:
    write(tool, "min = 2\nmax = 5\n")
    tool.pack.deploy()
    (there,) = tool.objects("deployments")
    kept = {key: there["metadata"][key] for key in ("name", "namespace", "labels")}
    said = {**there, "metadata": kept, "spec": {**there["spec"], "replicas": 2}}
    del said["status"]
    line = ("apply", "--server-side", "--force-conflicts", f"--field-manager={MANAGER}", "-f", "-")
    tool.cluster.kubectl(*line, stdin=json.dumps(said))
    with numbers(tool) as seen:
        tool.pack.deploy()
    assert len(seen) > 1
    assert min(map(int, seen)) == 2


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True

"""What is deployed to a cluster, lived with: its rights, its data, its logs, and a deploy that finds nothing to do."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_packager import engine
from mcp_packager.target import Identity, Verification, WorldInput
from mcp_targets._kube import client
from mcp_targets._kube.client import kubeconfig
from mcp_targets._kube.world import KubeWorld
from mcp_targets.kubernetes.options import Options
from tests.cluster.cluster import Cluster
from tests.cluster.troubled import CODE, Tool

pytestmark = [pytest.mark.real("cluster", "base-image"), pytest.mark.timeout(300)]

NAMESPACE = "life"
SECONDS = 60.0
MOST_REQUESTS = 80
"""Of a deploy that finds nothing to do: two looks at the world of one listing a kind, and the records."""
ASKING = '''
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path

HELD = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@tool
def counted(kind: str) -> int:
    """How many objects of a kind the tool sees in its namespace; less than nothing: the status of a refusal."""
    where = f"https://kubernetes.default.svc/api/v1/namespaces/{(HELD / 'namespace').read_text()}/{kind}"
    request = urllib.request.Request(where, headers={"Authorization": f"Bearer {(HELD / 'token').read_text()}"})
    try:
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=HELD / "ca.crt")) as answer:
            return len(json.load(answer)["items"])
    except urllib.error.HTTPError as error:
        return -error.code
'''
RIGHTS = """
[[permissions.kubernetes]]
resources = ["configmaps"]
verbs = ["list"]
"""
COUNTING = '''
import os
import socket


@tool
def count(by: int) -> int:
    """Add to a number that the store keeps."""
    host, _, port = os.environ["STORE"].partition(":")
    with socket.create_connection((host, int(port)), 5) as store:
        store.sendall(f"INCRBY number {by}\\r\\n".encode())
        return int(store.recv(100).strip(b":\\r\\n"))
'''
STORE = """
[services.store]
image = "{registry}/library/redis:7"
ports = [6379]
volume = {{ path = "/data", size = "64Mi" }}
provides = {{ STORE = "{{host}}:{{port}}" }}
resources = {{ memory = "96Mi" }}
"""


@pytest.fixture
def tool(cluster: Cluster, tmp_path: Path) -> Iterator[Tool]:
    made = Tool(cluster, tmp_path / "trouble", NAMESPACE)
    yield made
    made.pack.run("destroy", "--yes", "--data")
    assert made.objects("deployments,statefulsets,services,persistentvolumeclaims,leases") == []


def test_a_pod_uses_the_role_that_it_was_given_and_no_more(tool: Tool) -> None:
    tool.write("1.0.0", code=CODE + ASKING, more=RIGHTS)
    tool.pack.deploy()
    assert tool.asks("counted", "kind=configmaps") >= 2
    assert tool.asks("counted", "kind=secrets") == -403
    tool.write("1.1.0", code=CODE + ASKING)
    tool.pack.deploy()
    assert tool.objects("roles,rolebindings") == []
    answer = tool.pack.run("invoke", "counted", "kind=configmaps", expect=(1,))
    assert answer.document["invoke"]["is_error"], "no token is mounted where nothing asks for one"


def test_data_stays_at_destroy_unless_it_is_said(tool: Tool) -> None:
    tool.write("1.0.0", code=CODE + COUNTING, more=STORE.format(registry=tool.cluster.registry))
    tool.pack.deploy()
    assert tool.asks("count", "by=3") == 3
    kept = tool.pack.run("destroy", "--yes").document["deployments"][0]["kept"]
    assert any("persistentvolumeclaim" in line and "data" in line for line in kept)
    assert len(tool.objects("persistentvolumeclaims")) == 1
    assert tool.objects("statefulsets,deployments") == []
    tool.pack.deploy()
    assert tool.asks("count", "by=1") == 4
    tool.pack.run("destroy", "--yes", "--data")
    assert tool.objects("persistentvolumeclaims") == []


def test_logs_of_every_pod_are_followed_over_a_rollout(tool: Tool) -> None:
    tool.write("1.0.0", more="")
    tool.pack.deploy()
    line = [word for word in tool.pack.argv("logs", "--follow") if word != "--json"]
    lines: list[str] = []
    with subprocess.Popen(
        line, env={**os.environ, **tool.pack.environ}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        reading = threading.Thread(target=lines.extend, args=(iter(process.stdout),))
        reading.start()
        try:
            tool.write("1.1.0")
            tool.pack.deploy()
            tool.asks()
            pods = {each["metadata"]["name"] for each in tool.objects("pods")}
            until(lambda: any('"version":"1.1.0"' in text and '"tools/call"' in text for text in lines), lines)
        finally:
            process.terminate()
            reading.join()
    said_by = {text.split(" | ")[0] for text in lines if '"version":"1.1.0"' in text}
    assert said_by <= {"-".join(name.split("-")[-2:]) for name in pods}
    assert any('"version":"1.0.0"' in text for text in lines)
    assert len(lines) == len(set(lines)), "a line is told once"


def test_a_deploy_that_finds_nothing_to_do_asks_little_and_writes_nothing(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool.write("1.0.0")
    tool.pack.deploy()
    options = Options(namespace=NAMESPACE)
    identity = Identity("trouble", "trouble", "default")
    asked: list[str] = []
    send = client.Api.send

    def listening(self: client.Api, method: str, path: str, **more: Any) -> Any:
        asked.append(f"{method} {path}")
        return send(self, method, path, **more)

    monkeypatch.setattr(client.Api, "send", listening)
    world = KubeWorld(WorldInput(identity, options=options, environ=os.environ), kubeconfig(None, os.environ))
    release = engine.current(world)
    assert release is not None
    done = engine.deploy(release.intent, world, verify=lambda *_: Verification())
    assert not done.changed
    assert [line for line in asked if not line.startswith("GET ")] == []
    assert len(asked) <= MOST_REQUESTS, "\n".join(asked)
    assert len(asked) - len(set(asked)) <= MOST_REQUESTS // 2


def test_status_says_how_many_are_ready_and_why_the_others_are_not(tool: Tool) -> None:
    tool.write("1.0.0")
    tool.pack.deploy()
    (status,) = tool.pack.run("status").document["deployments"]
    assert (status["state"], status["replicas"], status["restarts"]) == ("running", "1/1", 0)
    assert status["endpoint"]["url"].endswith(f".{NAMESPACE}.svc.cluster.local/mcp")
    (deployment,) = tool.objects("deployments")
    container = {"name": "server", "image": f"{tool.cluster.registry}/team/nowhere:1"}
    edit = json.dumps({"spec": {"template": {"spec": {"containers": [container]}}}})
    tool.cluster.kubectl("patch", "deployment", deployment["metadata"]["name"], "-n", NAMESPACE, "-p", edit)
    told: list[str] = []

    def known() -> bool:
        (found,) = tool.pack.run("status").document["deployments"]
        told[:] = [found["state"], *found["detail"]]
        return any("ImagePull" in text for text in told)

    until(known, told)
    assert told[0] == "running", "the old one serves"


def until(condition: Any, shown: object) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, shown
        time.sleep(0.2)

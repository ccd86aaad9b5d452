"""What goes wrong in a cluster is told with its reason, and leaves what served before. Each test takes a namespace."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.troubled import Tool

pytestmark = [pytest.mark.real("cluster", "base-image"), pytest.mark.timeout(300)]


@pytest.fixture
def tool(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Tool]:
    words = re.sub(r"[^a-z]+", "-", request.node.name.removeprefix("test_").lower())
    made = Tool(cluster, tmp_path / "trouble", words[:40].strip("-"))
    yield made
    cluster.kubectl("delete", "namespace", made.namespace, "--ignore-not-found", "--wait=false")


def patch(target: str, path: str, value: Any, operation: str = "replace") -> str:
    """An option that changes one field of an object."""
    said = json.dumps(value)
    return (
        f'[[target.kubernetes.patches]]\ntarget = "{target}"\n'
        f'json = [{{ op = "{operation}", path = "{path}", value = {said} }}]\n'
    )


SERVER = "/spec/template/spec/containers/0"


def test_an_image_that_does_not_exist(tool: Tool) -> None:
    tool.write("1.0.0")
    tool.pack.deploy()
    nowhere = f"{tool.cluster.registry}/team/nowhere@sha256:{'0' * 64}"
    tool.write("1.1.0", more=patch("Deployment", f"{SERVER}/image", nowhere))
    told = tool.fails()
    assert "the candidate does not become ready: " in told
    assert "ImagePull" in told
    assert "nowhere" in told
    assert "clients get release 1 (version 1.0.0) as before" in told
    assert tool.asks() == "1.0.0"
    assert [each["metadata"]["name"] for each in tool.objects("pods") if "candidate" in each["metadata"]["name"]] == []


def test_a_secret_that_is_not_there(tool: Tool) -> None:
    source = {"secretRef": {"name": "nobodys"}}
    tool.write("1.0.0", more=patch("Deployment", f"{SERVER}/envFrom", [source], "add").replace('": ', '" = '))
    told = tool.fails()
    assert "CreateContainerConfigError" in told
    assert "nobodys" in told
    assert "nothing was deployed before, and nothing is left of this attempt" in told
    assert tool.objects("deployments,services,configmaps,pods,networkpolicies") == [
        each for each in tool.objects("configmaps") if each["metadata"]["name"] == "kube-root-ca.crt"
    ]


def test_a_server_that_is_never_ready(tool: Tool) -> None:
    tool.write("1.0.0", more=patch("Deployment", f"{SERVER}/readinessProbe/httpGet/path", "/nothing"), start="30s")
    told = tool.fails()
    assert "the candidate is not ready in time" in told
    assert "Readiness probe failed" in told


def test_a_server_that_does_not_come_up_is_ended_by_its_probe(tool: Tool) -> None:
    path = patch("Deployment", f"{SERVER}/startupProbe/httpGet/path", "/nothing")
    tool.write("1.0.0", more=path, start="5s")
    told = tool.fails()
    assert "the candidate is not ready in time" in told or "the candidate does not become ready: it ended" in told
    assert "Startup probe failed" in told


def test_no_node_is_large_enough_and_that_is_said_at_once(tool: Tool) -> None:
    tool.write("1.0.0", more='[resources]\ncpu = 64\nmemory = "64MiB"')
    line = [word for word in tool.pack.argv("deploy", "--yes") if word != "--json"]
    environ = {**os.environ, **tool.pack.environ}
    with subprocess.Popen(line, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        told = next((text for text in process.stdout if "no node takes it" in text), "")
        process.terminate()
        rest = process.stdout.read()
    assert "Insufficient cpu" in told, rest
    tool.pack.run("unlock", "--yes")
    tool.pack.run("destroy", "--yes")
    assert tool.objects("pods,services,leases") == []


def test_a_quota_that_leaves_no_room(tool: Tool) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small", "namespace": tool.namespace},
        "spec": {"hard": {"pods": "1"}},
    }
    tool.make_namespace(quota)
    tool.write("1.0.0")
    told = tool.fails()
    assert "exceeded quota: small" in told
    labels = tool.cluster.get("namespace", tool.namespace)["metadata"]["labels"]
    assert labels == {"kubernetes.io/metadata.name": tool.namespace}, "what is not ours stays as it is"
    assert "nothing is left of this attempt" in told


def test_pod_security_that_refuses(tool: Tool) -> None:
    tool.write("1.0.0")
    tool.pack.deploy()
    tool.write("1.1.0", more=patch("Deployment", "/spec/template/spec/hostNetwork", value=True, operation="add"))
    told = tool.fails()
    assert 'violates PodSecurity \\"restricted' in told or 'violates PodSecurity "restricted' in told
    assert "hostNetwork" in told
    assert tool.asks() == "1.0.0"


def test_a_field_that_somebody_else_holds_is_named_with_its_owner(tool: Tool) -> None:
    tool.write("1.0.0")
    tool.pack.deploy()
    (deployment,) = tool.objects("deployments")
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": deployment["metadata"]["name"], "namespace": tool.namespace},
        "spec": {"minReadySeconds": 3},
    }
    apply = ("apply", "--server-side", "--field-manager=other-team", "-f", "-")
    tool.cluster.kubectl(*apply, stdin=json.dumps(theirs))
    assert tool.pack.run("drift").code == 0
    tool.write("1.1.0", more=patch("Deployment", "/spec/minReadySeconds", 4, "add"))
    told = tool.fails(1)
    assert "spec.minReadySeconds belongs to other-team, and was never set by mcp-pack" in told
    assert "nothing was changed" in told
    assert tool.asks() == "1.0.0"


def test_what_was_edited_by_hand_is_drift_and_is_taken_back(tool: Tool) -> None:
    tool.write("1.0.0")
    release = tool.pack.deploy()["release"]
    (deployment,) = tool.objects("deployments")
    name = deployment["metadata"]["name"]
    edit = json.dumps({"spec": {"replicas": 2, "template": {"metadata": {"annotations": {"mcp-pack/auth": "jwt"}}}}})
    tool.cluster.kubectl("patch", "deployment", name, "-n", tool.namespace, "-p", edit)
    tool.cluster.kubectl("annotate", "deployment", name, "-n", tool.namespace, "team=blue")
    found = tool.pack.run("drift", expect=(4,)).document["deployments"][0]["plan"]["changes"]
    (change,) = [each for each in found if each["kind"] == "deployment"]
    assert {field["path"] for field in change["fields"] if "state" not in field["path"]} == {
        "object.spec.replicas",
        "object.spec.template.metadata.annotations.mcp-pack/auth",
    }
    answer = tool.pack.run("deploy", "--yes")
    assert "took back spec.replicas from kubectl" in answer.stderr
    assert answer.document["deployments"][0]["release"] == release
    (mended,) = tool.objects("deployments")
    assert mended["spec"]["replicas"] == 1
    assert mended["metadata"]["annotations"]["team"] == "blue", "what others add stays"
    assert tool.pack.run("drift").code == 0


def test_what_is_not_ours_is_neither_taken_nor_removed(tool: Tool) -> None:
    tool.write("1.0.0")
    tool.pack.deploy()
    (service,) = tool.objects("services")
    tool.pack.run("destroy", "--yes")
    name = service["metadata"]["name"]
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": tool.namespace},
        "spec": {"ports": [{"port": 1}]},
    }
    tool.cluster.apply(theirs)
    told = tool.fails(1)
    assert f"there is a Service {name} that mcp-pack did not make for this tool and stage" in told
    (kept,) = tool.objects("services")
    assert kept["spec"]["ports"][0]["port"] == 1

"""What a real API server says is whose: an edit inside a list that it takes as one, and rights that get narrower."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.troubled import Tool

pytestmark = [pytest.mark.real("cluster", "base-image"), pytest.mark.timeout(600)]

RIGHTS = '[[permissions.kubernetes]]\nresources = ["configmaps"]\nverbs = ["get"{more}]\n'


@pytest.fixture
def tool(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Tool]:
    words = re.sub(r"[^a-z]+", "-", request.node.name.removeprefix("test_").lower())
    made = Tool(cluster, tmp_path / "trouble", words[:40].strip("-"))
    yield made
    cluster.kubectl("delete", "namespace", made.namespace, "--ignore-not-found", "--wait=false")


def edit(tool: Tool, kind: str, path: str, value: object) -> None:
    (name,) = [each["metadata"]["name"] for each in tool.objects(kind)]
    change = json.dumps([{"op": "add", "path": path, "value": value}])
    tool.cluster.kubectl("patch", kind, name, "-n", tool.namespace, "--type=json", "-p", change)


def drift(tool: Tool) -> set[str]:
    """Paths of what differs."""
    changes = tool.pack.run("drift", expect=(4,)).document["deployments"][0]["plan"]["changes"]
    return {field["path"] for change in changes for field in change["fields"]}


def test_edits_inside_what_is_taken_as_one(tool: Tool) -> None:
    tool.write("1.0.0", more=RIGHTS.format(more=""))
    tool.pack.deploy()
    assert tool.pack.run("drift").code == 0
    edit(tool, "networkpolicies", "/spec/ingress/0/from", [{"podSelector": {}}])
    edit(tool, "services", "/spec/selector/version", "old")
    edit(tool, "roles", "/rules/0/resourceNames", ["one"])
    assert drift(tool) == {
        "object.rules[0].resourceNames",
        "object.spec.ingress[0].from",
        "object.spec.selector.version",
    }
    assert "took back" in tool.pack.run("deploy", "--yes").stderr
    assert tool.pack.run("drift").code == 0
    assert tool.asks() == "1.0.0"


def test_rights_that_get_narrower_go_with_the_last_pod_that_had_them(tool: Tool) -> None:
    tool.write("1.0.0", more=RIGHTS.format(more=', "list"'))
    tool.pack.deploy()
    (before,) = tool.objects("roles")
    tool.write("1.1.0", more=RIGHTS.format(more=""))
    told = tool.pack.run("deploy", "--yes", "-v").told
    (after,) = tool.objects("roles")
    (binding,) = tool.objects("rolebindings")
    assert after["metadata"]["name"] != before["metadata"]["name"]
    assert binding["roleRef"]["name"] == after["metadata"]["name"]
    made, switched, gone = (
        told.index(words)
        for words in (
            f"create role {after['metadata']['name']}",
            "update deployment",
            f"delete role {before['metadata']['name']}",
        )
    )
    assert made < switched < gone

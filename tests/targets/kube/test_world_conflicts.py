"""Fields in conflict are found in an object by the paths that the API server gives."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_targets._kube.conflicts import conflicts, holds

THING: dict[str, Any] = {
    "metadata": {"labels": {"app.kubernetes.io/name": "a", "app": "b"}, "finalizers": ["x.example.com/y"]},
    "spec": {
        "replicas": 0,
        "template": {
            "spec": {
                "containers": [
                    {"name": "server", "image": "i", "ports": [{"containerPort": 80}]},
                    {"name": "we[i]rd.one", "env": [{"name": "A", "value": "1"}]},
                ]
            }
        },
    },
}


@pytest.mark.parametrize(
    "path",
    [
        ".spec.replicas",
        ".spec",
        ".metadata.labels.app.kubernetes.io/name",
        ".metadata.labels.app",
        '.spec.template.spec.containers[name="server"].image',
        '.spec.template.spec.containers[name="server"].ports[containerPort=80,protocol="TCP"].containerPort',
        '.metadata.finalizers[="x.example.com/y"]',
    ],
)
def test_a_field_that_is_there(path: str) -> None:
    assert holds(THING, path)


@pytest.mark.parametrize(
    "path",
    [
        ".spec.paused",
        ".spec.replicas.more",
        ".metadata.labels.app.kubernetes.io/component",
        '.spec.template.spec.containers[name="other"].image',
        '.spec.template.spec.containers[name="server"].command',
        '.spec.template.spec.containers[name="server"].ports[containerPort=81,protocol="TCP"].containerPort',
        '.metadata.finalizers[="z"]',
        "spec",
    ],
)
def test_a_field_that_is_not(path: str) -> None:
    assert not holds(THING, path)


def test_owners_are_read_from_a_status_of_the_server() -> None:
    said = {
        "reason": "Conflict",
        "details": {
            "causes": [
                {
                    "reason": "FieldManagerConflict",
                    "message": 'conflict with "kubectl-edit" using apps/v1',
                    "field": ".spec.replicas",
                },
                {"reason": "Other", "message": "something else", "field": ".spec.paused"},
                {"reason": "FieldManagerConflict", "message": "unheard of", "field": ".spec.paused"},
            ]
        },
    }
    assert conflicts(said) == [(".spec.replicas", "kubectl-edit"), (".spec.paused", "somebody else")]
    assert conflicts({"reason": "Conflict"}) == []

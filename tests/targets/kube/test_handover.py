"""Who says how many copies there are: what is asked of the cluster when that changes hands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from mcp_targets._kube.handover import leave_number, take_number
from mcp_targets._kube.kinds import BY_NAME
from mcp_targets._kube.names import MANAGER
from mcp_targets._kube.objects import Objects

DEPLOYMENT = BY_NAME["deployment"]


@dataclass
class Cluster:
    """A cluster that holds one Deployment, or none, and writes down what it is asked."""

    there: Mapping[str, Any] | None = None
    done: list[str] = field(default_factory=list)
    namespace: str = "tools"

    @property
    def api(self) -> Cluster:
        return self

    def objects(self) -> Objects:
        return cast("Objects", self)

    def read(self, sort: Any, name: str) -> Any:
        assert (sort.name, name) == ("deployment", "tool")
        return self.there

    def delete(self, sort: Any, name: str, *, wait: bool) -> None:
        assert wait
        self.done.append(f"delete {sort.name} {name}")

    def patch(self, path: str, wanted: Mapping[str, Any], query: Mapping[str, str]) -> None:
        self.done.append(f"{query['fieldManager']} says {wanted['spec']['replicas']} of {path.rpartition('/')[2]}")


def deployment(number: int | None, *, said_by: str | None = None) -> dict[str, Any]:
    spec = {} if number is None else {"replicas": number}
    owned: dict[str, Any] = {"manager": said_by, "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    metadata = {"name": "tool", "managedFields": [owned] if said_by else []}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize(
    ("wanted", "before", "done"),
    [
        (2, None, ["delete horizontalpodautoscaler tool"]),
        (2, 3, []),
        (None, None, []),
        (None, 3, []),
    ],
)
def test_the_autoscaler_goes_before_another_says_the_number(
    wanted: int | None, before: int | None, done: list[str]
) -> None:
    cluster = Cluster()
    take_number(cluster.objects(), DEPLOYMENT, deployment(wanted), deployment(before))
    assert cluster.done == done


def test_a_first_release_takes_the_number_from_nobody() -> None:
    cluster = Cluster()
    take_number(cluster.objects(), DEPLOYMENT, deployment(2), None)
    assert cluster.done == []


@pytest.mark.parametrize(
    ("wanted", "there", "done"),
    [
        (None, deployment(4, said_by=MANAGER), ["mcp-pack-scaled says 4 of tool"]),
        (None, deployment(4, said_by="kube-controller-manager"), []),
        (None, None, []),
        (2, deployment(4, said_by=MANAGER), []),
    ],
)
def test_a_number_that_is_ours_is_left_as_it_is(
    wanted: int | None, there: dict[str, Any] | None, done: list[str]
) -> None:
    cluster = Cluster(there)
    leave_number(cluster.objects(), DEPLOYMENT, deployment(wanted))
    assert cluster.done == done

"""The way of calls to a canary whose share is weighed: in which order it is made, led and taken away, and refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from mcp_packager.engine import diff
from mcp_packager.errors import UserError
from mcp_packager.target import Plan, Resource
from mcp_packager.target.values import resolve
from mcp_targets._kube import leading
from mcp_targets._kube.applying import Applying
from mcp_targets._kube.kinds import CANARY, KINDS
from mcp_targets._kube.leading import Leading, judged
from mcp_targets._kube.names import Names
from mcp_targets._kube.objects import Objects
from mcp_targets._kube.rollout import Rollout
from mcp_targets._kube.shares import is_second, is_weighed
from mcp_targets.eks import account
from tests.targets.kube.samples import SMALLEST, made
from tests.targets.kube.test_shares import one, wanted, way


def planned(resources: tuple[Resource, ...]) -> Plan:
    known = tuple(replace(it, fields=resolve(it.fields, lambda leaf: "named")) for it in resources)
    return diff(known, {}, (*account.KINDS, *KINDS))


@dataclass
class Cluster:
    """What a canary's way needs of a cluster. ``done`` says what was applied, and what was deleted."""

    things: dict[tuple[str, str], Any] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    controller: str = "k8s.io/ingress-nginx"
    gated: bool = True

    def leading(self, names: Names) -> Leading:
        it = cast("Any", self)
        return Leading(cast("Objects", it), cast("Applying", it), cast("Rollout", it), names, self.done.append)

    def installed(self, sort: Any) -> bool:
        return True

    def read(self, sort: Any, name: str) -> Any:
        if sort.name == "ingressclass":
            return {"spec": {"controller": self.controller}}
        return self.things.get((sort.name, name))

    def listing(self, sort: Any, *, selector: str | None = None) -> list[Any]:
        if sort.name == "pod":
            gates = [{"conditionType": "target-health.elbv2.k8s.aws/x"}]
            return [{"spec": {"readinessGates": gates if self.gated else []}}]
        if sort.name == "targetgroupbinding":
            return [{"spec": {"serviceRef": {"name": name}}} for kind, name in self.things if kind == "service"]
        return [thing for (kind, _), thing in self.things.items() if kind == sort.name]

    def claim(self, sort: Any, name: str) -> None:
        assert (sort.name, name) not in self.things

    def apply(self, sort: Any, wanted: Mapping[str, Any]) -> None:
        name = wanted["metadata"]["name"]
        self.things[sort.name, name] = wanted
        said = json.dumps(wanted["metadata"].get("annotations") or {}) + json.dumps(wanted["spec"])
        weights = [part.split("}")[0].split(",")[0] for part in said.replace('\\"', '"').split('weight": ')[1:]]
        weights += [part.split("}")[0] for part in said.replace('\\"', '"').split('weight":')[1:] if part[0] != " "]
        self.done.append(" ".join([f"apply {sort.name}", *weights]))

    def delete(self, sort: Any, name: str) -> None:
        del self.things[sort.name, name]
        self.done.append(f"delete {sort.name}")

    def hold(self, seconds: float, look: Callable[[], None]) -> None:
        self.done.append(f"held {seconds:g}")


@pytest.mark.parametrize(
    ("served", "opened", "led", "left"),
    [
        (
            "alb",
            ["canary made", "apply service", "apply ingress 100 0"],
            ["apply ingress 75 25"],
            ["apply ingress 100 0", "canary gone", "apply ingress", "delete service"],
        ),
        (
            "nginx",
            ["canary made", "apply service", 'apply ingress "0"', 'apply ingress "0"'],
            ['apply ingress "25"'],
            ['apply ingress "0"', "canary gone", "delete ingress", "delete service"],
        ),
        (
            "gateway",
            ["canary made", "apply service", "apply httproute 100 0"],
            ["apply httproute 75 25"],
            ["apply httproute 100 0", "canary gone", "apply httproute 1", "delete service"],
        ),
    ],
)
def test_calls_get_to_it_last_and_are_the_first_to_go(
    tmp_path: Path, served: str, opened: list[str], led: list[str], left: list[str]
) -> None:
    found = wanted(tmp_path, served)
    it, tried = way(found), one(found, CANARY)
    doors = {(door.kind, door.name): door.fields["object"] for door in found if door.kind in {"ingress", "httproute"}}
    cluster = Cluster({**doors, ("service", it.service): {"metadata": {"name": it.service}, "spec": {}}})
    before = dict(cluster.things)
    labels = tried.fields["object"]["spec"]["selector"]["matchLabels"]
    names = Names(made(tmp_path / "names", SMALLEST).request.identity)
    assert names.base == it.service
    leads = cluster.leading(names)
    leads.open(it, lambda: cluster.done.append("canary made"))
    assert cluster.done == opened
    cluster.done.clear()
    leads.lead(it, 25, labels)
    assert cluster.done == led
    cluster.done.clear()
    leads.leave(it.tried, lambda: cluster.done.append("canary gone"))
    assert cluster.done == left
    assert cluster.things.keys() == before.keys()
    assert not any(is_weighed(thing) or is_second(thing) for thing in cluster.things.values())
    cluster.done.clear()
    leads.leave(it.tried, lambda: cluster.done.append("canary gone"))
    assert cluster.done == ["canary gone"], "what is done once needs no other time"


def test_targets_of_which_no_pod_tells_get_time(tmp_path: Path) -> None:
    found = wanted(tmp_path, "alb")
    it, door = way(found), one(found, "ingress")
    cluster = Cluster({("ingress", door.name): door.fields["object"]}, gated=False)
    cluster.leading(Names(made(tmp_path / "names", SMALLEST).request.identity)).lead(it, 25, {"a": "b"})
    assert cluster.done[1:] == [f"held {leading.UNGATED:g}", "apply ingress 75 25"]


@pytest.mark.parametrize(
    ("served", "words"),
    [
        ("alb", "weight of a second target group"),
        ("nginx", "weight of a second Ingress"),
        ("gateway", "a weight of the HTTPRoute"),
    ],
)
def test_a_plan_tells_what_gives_the_share(tmp_path: Path, served: str, words: str) -> None:
    plan = planned(wanted(tmp_path, served))
    change, _ = [change for change in plan.changes if change.key.kind == CANARY]
    assert words in change.effect
    assert not list(judged(plan, cast("Objects", Cluster())))


def test_weights_of_a_class_that_is_not_known_to_have_them_are_refused(tmp_path: Path) -> None:
    found = wanted(tmp_path, "nginx")
    with pytest.raises(UserError, match="nobody knows how it takes them") as caught:
        list(judged(planned(found), cast("Objects", Cluster(controller="traefik.io/ingress-controller"))))
    assert caught.value.problems[0].found == "traefik.io/ingress-controller"

"""A canary whose share is weighed: what is made for it, what lets clients in meanwhile, and in which order it goes."""

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
from mcp_targets._kube.canary import needed
from mcp_targets._kube.kinds import CANARY, KINDS
from mcp_targets._kube.leading import Leading, Way, judged
from mcp_targets._kube.names import TRIED, Names
from mcp_targets._kube.objects import Objects
from mcp_targets._kube.projection import held
from mcp_targets._kube.rollout import Rollout
from mcp_targets._kube.shares import HOW, is_second, is_weighed, scaled_both_ways, scaled_up_alone, unweighed, weighed
from mcp_targets._kube.together import claims
from mcp_targets.eks import account
from mcp_targets.eks import target as eks
from mcp_targets.eks.groups import TARGET_GROUPS, Classes, members, problems, widest
from mcp_targets.kubernetes import target
from tests.targets.aws.deployments import desired, objects, only, written
from tests.targets.aws.test_groups import ingress
from tests.targets.kube.samples import SMALLEST, made

STRATEGY = 'strategy = "canary"\ncanary = { steps = [25, 50], hold = "30s" }\n'
SERVED = {
    "nginx": 'class = "nginx"\nhost = "shop.example.com"\ntls = "shop-tls"\n',
    "gateway": 'gateway = "edge/public"\nhost = "shop.example.com"\n',
}
ALB = {"alb": "", "route": 'gateway = "edge/public"\n'}


def wanted(folder: Path, served: str, more: str = "") -> tuple[Resource, ...]:
    """The resources of a tool that has a canary, behind whatever lets clients in."""
    if served in ALB:
        options = f"{STRATEGY}{ALB[served]}{more}"
        return tuple(desired(written(folder, options, name="shop", host="shop.example.com")).values())
    return made(folder, f"{SMALLEST}{SERVED[served]}{STRATEGY}{more}").resources


def one(resources: tuple[Resource, ...], kind: str) -> Resource:
    (found,) = [resource for resource in resources if resource.kind == kind]
    return found


def way(resources: tuple[Resource, ...]) -> Way:
    tried = one(resources, CANARY)
    found = Way.of(tried.fields[HOW], tried.name)
    assert found is not None
    return found


def beside(resources: tuple[Resource, ...], kind: str) -> Any:
    (found,) = [item for item in way(resources).beside if item["kind"] == kind]
    return found


@pytest.mark.parametrize("served", [*SERVED, *ALB])
def test_a_service_of_its_own_leads_to_its_pods_alone(tmp_path: Path, served: str) -> None:
    found = wanted(tmp_path, served)
    main, tried = (one(found, kind).fields["object"]["spec"] for kind in ("deployment", CANARY))
    of_main, of_tried = one(found, "service").fields["object"]["spec"]["selector"], beside(found, "Service")["spec"]
    its, others = (spec["template"]["metadata"]["labels"] for spec in (tried, main))
    assert of_tried["selector"].items() <= its.items()
    assert of_tried["selector"] == tried["selector"]["matchLabels"]
    assert not of_main.items() <= its.items(), "the tool's Service does not send to the canary"
    assert not of_tried["selector"].items() <= others.items()
    assert not main["selector"]["matchLabels"].items() <= its.items()
    (policy,) = [it for it in found if it.kind == "networkpolicy"]
    assert policy.fields["object"]["spec"]["podSelector"]["matchLabels"].items() <= its.items(), "the same may get in"
    for spread in tried["template"]["spec"]["topologySpreadConstraints"]:
        assert spread["labelSelector"]["matchLabels"].items() <= its.items()
    assert {key: value for key, value in its.items() if others.get(key) != value}.keys() == {
        TRIED,
        "app.kubernetes.io/instance",
    }


def test_an_alb_forwards_to_two_target_groups(tmp_path: Path) -> None:
    found = wanted(tmp_path, "alb")
    door, it = one(found, "ingress").fields["object"], way(found)
    assert [str(key) for key in it.doors] == [str(one(found, "ingress").key)]
    assert door["metadata"]["name"] == it.service
    shared = weighed(door, it.service, it.tried, 10)
    paths = [path for rule in shared["spec"]["rules"] for path in rule["http"]["paths"]]
    assert {json.dumps(path["backend"]["service"]["port"]) for path in paths} == {'{"name": "use-annotation"}'}
    assert [path["path"] for path in paths] == [path["path"] for path in door["spec"]["rules"][0]["http"]["paths"]]
    action = json.loads(shared["metadata"]["annotations"][f"alb.ingress.kubernetes.io/actions.{it.service}"])
    assert action == {
        "type": "forward",
        "forwardConfig": {
            "targetGroups": [
                {"serviceName": it.service, "servicePort": 80, "weight": 90},
                {"serviceName": it.tried, "servicePort": 80, "weight": 10},
            ]
        },
    }
    assert weighed(shared, it.service, it.tried, 50) == weighed(door, it.service, it.tried, 50)
    assert is_weighed(shared)
    assert unweighed(shared, it.service, it.tried) == door
    assert unweighed(door, it.service, it.tried) == door


@pytest.mark.parametrize("weight", [None, 1, 7])
@pytest.mark.parametrize("served", ["gateway", "route"])
def test_a_route_divides_the_weight_of_its_backend(tmp_path: Path, served: str, weight: int | None) -> None:
    found = wanted(tmp_path, served)
    door, it = one(found, "httproute").fields["object"], way(found)
    (rule,) = door["spec"]["rules"]
    other = {"group": "", "kind": "Service", "name": "old-shop", "port": 80, "weight": 3}
    mine = {**rule["backendRefs"][0], "weight": 1 if weight is None else weight}
    door = {**door, "spec": {**door["spec"], "rules": [{**rule, "backendRefs": [mine, other]}]}}
    shared = weighed(door, it.service, it.tried, 25)
    (divided,) = shared["spec"]["rules"]
    whole = mine["weight"]
    assert [(each["name"], each["weight"]) for each in divided["backendRefs"]] == [
        (it.service, whole * 75),
        (it.tried, whole * 25),
        ("old-shop", 3),
    ]
    assert weighed(shared, it.service, it.tried, 50) == weighed(door, it.service, it.tried, 50)
    assert unweighed(shared, it.service, it.tried) == door


def test_a_target_group_of_the_gateway_api_is_set_up_alike(tmp_path: Path) -> None:
    found = wanted(tmp_path, "route")
    main, its = one(found, "targetgroupconfiguration").fields["object"], beside(found, "TargetGroupConfiguration")
    assert its["spec"]["targetReference"]["name"] == beside(found, "Service")["metadata"]["name"]
    assert its["spec"]["defaultConfiguration"] == main["spec"]["defaultConfiguration"]


def test_ingress_nginx_has_a_second_ingress(tmp_path: Path) -> None:
    found = wanted(tmp_path, "nginx")
    main, second = one(found, "ingress").fields["object"], beside(found, "Ingress")
    assert way(found).doors == ()
    assert second["metadata"]["annotations"] == {
        "nginx.ingress.kubernetes.io/canary": "true",
        "nginx.ingress.kubernetes.io/canary-weight": "0",
    }
    assert "tls" not in second["spec"]
    places = [[(rule["host"], path["path"]) for path in rule["http"]["paths"]] for rule in main["spec"]["rules"]]
    assert places == [
        [(rule["host"], path["path"]) for path in rule["http"]["paths"]] for rule in second["spec"]["rules"]
    ]
    services = {path["backend"]["service"]["name"] for path in second["spec"]["rules"][0]["http"]["paths"]}
    assert services == {beside(found, "Service")["metadata"]["name"]}
    assert list(claims(main))
    assert not list(claims(second)), "it claims no host and path of its own"


@pytest.mark.parametrize(
    ("options", "by"),
    [
        ("", "pods"),
        ('class = "traefik"\nhost = "shop.example.com"\n', "pods"),
        ('class = "traefik"\nhost = "shop.example.com"\ncanary = { by = "weights" }\n', "nginx"),
        ('class = "nginx"\nhost = "shop.example.com"\n', "nginx"),
        ('class = "nginx"\nhost = "shop.example.com"\ncanary = { by = "pods" }\n', "pods"),
        ('gateway = "edge/public"\nhost = "shop.example.com"\n', "route"),
    ],
)
def test_what_gives_it_its_share_on_any_cluster(tmp_path: Path, options: str, by: str) -> None:
    found = made(tmp_path, f'{SMALLEST}strategy = "canary"\n{options}').resources
    assert one(found, CANARY).fields[HOW]["by"] == by


@pytest.mark.parametrize(
    ("options", "host", "by"),
    [
        ("", None, "pods"),
        ("", "shop.example.com", "alb"),
        ('class = "edge"\n', "shop.example.com", "alb"),
        ('canary = { by = "pods" }\n', "shop.example.com", "pods"),
        ('gateway = "edge/public"\n', "shop.example.com", "route"),
    ],
)
def test_what_gives_it_its_share_on_eks(tmp_path: Path, options: str, host: str | None, by: str) -> None:
    found = tuple(desired(written(tmp_path, f'strategy = "canary"\n{options}', host=host)).values())
    assert one(found, CANARY).fields[HOW]["by"] == by


def test_weights_without_anything_that_has_them_are_a_mistake(tmp_path: Path) -> None:
    text = 'strategy = "canary"\ncanary = { by = "weights" }\n'
    found = made(tmp_path / "a", SMALLEST + text).manifest
    told_of = [problem.where.key for problem in target.check(found, found.targets["kubernetes"])]
    assert told_of == ["target.kubernetes.canary.by"]
    found = written(tmp_path / "b", text)
    assert [problem.where.key for problem in eks.check(found, found.targets["eks"])] == ["target.eks.canary.by"]


@pytest.mark.parametrize(("others", "share", "count"), [(2, 10, 1), (2, 50, 1), (3, 50, 2), (20, 10, 2), (21, 10, 3)])
def test_no_pod_of_it_gets_more_calls_than_one_had_before(others: int, share: int, count: int) -> None:
    assert needed(others, share) == count


def test_while_it_is_there_a_load_balancer_has_one_target_group_more(tmp_path: Path) -> None:
    found = desired(written(tmp_path, f'{STRATEGY}group = "tools"\n', name="shop", host="shop.example.com"))
    params = {one["metadata"]["name"]: one["spec"] for one in objects(found, "ingressclassparams")}
    known = Classes(params)
    (of_class,) = params
    door = only(found, "ingress")
    others = [ingress(f"t{n}", f"t{n}.example.com", "/mcp", of_class=of_class) for n in range(TARGET_GROUPS - 1)]
    there = members(others, known)
    assert not list(problems(members([door], known), there))
    (problem,) = problems(members(widest([door], found.values()), known), there)
    assert f"{TARGET_GROUPS} target groups at most" in problem.what
    assert problem.found is not None
    assert problem.found.startswith(f"{TARGET_GROUPS + 1}, of ")
    it = way(tuple(found.values()))
    (seen,) = members([weighed(door, it.service, it.tried, 10)], known)
    assert {service for _, service, _ in seen.backends} == {it.service, it.tried}


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


@pytest.mark.parametrize(
    "behavior", [None, {"scaleDown": {"selectPolicy": "Min"}}, {"scaleUp": {"selectPolicy": "Min"}}]
)
def test_meanwhile_an_autoscaler_takes_no_pod_away(tmp_path: Path, behavior: Any) -> None:
    found = wanted(tmp_path, "nginx", "\n[scale]\nmin = 2\nmax = 4\n")
    plain = one(found, "horizontalpodautoscaler").fields["object"]
    if behavior is not None:
        plain = {**plain, "spec": {**plain["spec"], "behavior": behavior}}
    meanwhile = scaled_up_alone(plain)
    assert meanwhile["spec"]["behavior"]["scaleDown"]["selectPolicy"] == "Disabled"
    assert meanwhile["spec"]["behavior"].get("scaleUp") == (behavior or {}).get("scaleUp")
    assert is_weighed(meanwhile)
    assert scaled_up_alone(meanwhile) == meanwhile
    assert scaled_both_ways(meanwhile) == plain
    assert scaled_both_ways(plain) == plain


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


def test_what_our_manager_holds_can_be_applied_again() -> None:
    marks = {
        "f:metadata": {"f:labels": {"f:mine": {}}, "f:annotations": {"f:said": {}}},
        "f:spec": {"f:rules": {}},
    }
    live = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": "shop",
            "namespace": "tools",
            "uid": "1",
            "resourceVersion": "7",
            "labels": {"mine": "1", "theirs": "2"},
            "annotations": {"said": "1", "heard": "2"},
            "managedFields": [{"manager": "mcp-pack", "operation": "Apply", "fieldsV1": marks}],
        },
        "spec": {"rules": [{"host": "a"}], "defaultBackend": {"service": {"name": "theirs"}}},
        "status": {"loadBalancer": {}},
    }
    assert held(live) == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": "shop",
            "namespace": "tools",
            "labels": {"mine": "1"},
            "annotations": {"said": "1"},
        },
        "spec": {"rules": [{"host": "a"}]},
    }

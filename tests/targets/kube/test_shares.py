"""A canary whose share is weighed: what is made for it, what lets clients in meanwhile, and in which order it goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.target import Resource
from mcp_targets._kube.canary import needed
from mcp_targets._kube.kinds import CANARY
from mcp_targets._kube.leading import Way
from mcp_targets._kube.names import TRIED
from mcp_targets._kube.projection import held
from mcp_targets._kube.shares import HOW, is_weighed, scaled_both_ways, scaled_up_alone, unweighed, weighed
from mcp_targets._kube.together import claims
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

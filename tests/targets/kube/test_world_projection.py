"""What is observed of an object is told as it is wanted, and only real edits differ. Statuses are a real server's."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Any

import pytest

from mcp_packager.engine.diff import compare
from mcp_packager.target import Kind, Observed
from mcp_targets._kube.projection import FOREIGN, OBJECT, STATE, observed_fields, projected
from mcp_targets._kube.quantities import amount

WANTED: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "probe", "namespace": "default", "labels": {"app": "probe"}},
    "spec": {
        "replicas": 2,
        "minReadySeconds": 0,
        "selector": {"matchLabels": {"app": "probe"}},
        "template": {
            "metadata": {"labels": {"app": "probe"}},
            "spec": {
                "hostNetwork": False,
                "automountServiceAccountToken": False,
                "containers": [
                    {
                        "name": "server",
                        "image": "example.com/a@sha256:1",
                        "args": ["--port", "8000"],
                        "env": [{"name": "EMPTY", "value": ""}, {"name": "MODE", "value": "y"}],
                        "ports": [{"name": "http", "containerPort": 8000}],
                        "resources": {"limits": {"cpu": "1000m", "memory": "0.5Gi"}},
                    }
                ],
            },
        },
    },
}


def live() -> dict[str, Any]:
    """The same as a server of 1.34 answered it: defaults put in, quantities its own, what is empty left out."""
    container = {
        "env": [{"name": "EMPTY"}, {"name": "MODE", "value": "y"}],
        "args": ["--port", "8000"],
        "image": "example.com/a@sha256:1",
        "imagePullPolicy": "IfNotPresent",
        "name": "server",
        "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}],
        "resources": {"limits": {"cpu": "1", "memory": "512Mi"}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    pod = {
        "automountServiceAccountToken": False,
        "containers": [container],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "probe",
            "namespace": "default",
            "labels": {"app": "probe"},
            "annotations": {"deployment.kubernetes.io/revision": "1"},
            "generation": 1,
            "uid": "c1",
            "managedFields": [
                {"manager": "mcp-pack", "operation": "Apply", "fieldsV1": copy.deepcopy(OWNED)},
                {
                    "manager": "controllers",
                    "operation": "Update",
                    "subresource": "status",
                    "fieldsV1": {"f:status": {}},
                },
            ],
        },
        "spec": {
            "progressDeadlineSeconds": 600,
            "replicas": 2,
            "selector": {"matchLabels": {"app": "probe"}},
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}, "type": "RollingUpdate"},
            "template": {"metadata": {"labels": {"app": "probe"}}, "spec": pod},
        },
        "status": {"replicas": 2},
    }


ENV: dict[str, Any] = {
    'k:{"name":"EMPTY"}': {".": {}, "f:name": {}, "f:value": {}},
    'k:{"name":"MODE"}': {".": {}, "f:name": {}, "f:value": {}},
}
SERVER: dict[str, Any] = {
    ".": {},
    "f:args": {},
    "f:env": ENV,
    "f:image": {},
    "f:name": {},
    "f:ports": {'k:{"containerPort":8000,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:name": {}}},
    "f:resources": {"f:limits": {"f:cpu": {}, "f:memory": {}}},
}
POD: dict[str, Any] = {
    "f:automountServiceAccountToken": {},
    "f:containers": {'k:{"name":"server"}': SERVER},
    "f:hostNetwork": {},
}
OWNED: dict[str, Any] = {
    "f:metadata": {"f:labels": {"f:app": {}}},
    "f:spec": {
        "f:minReadySeconds": {},
        "f:replicas": {},
        "f:selector": {},
        "f:template": {"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": POD},
    },
}


def seen(thing: dict[str, Any], wanted: dict[str, Any] = WANTED, state: str | None = None) -> Any:
    """What a plan compares with what is wanted."""
    return projected(observed_fields(thing, state), {OBJECT: wanted})[OBJECT]


def server(thing: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = thing["spec"]["template"]["spec"]["containers"][0]
    return found


def test_what_was_applied_is_told_as_it_is_wanted() -> None:
    assert seen(live()) == WANTED


def test_an_edited_value_differs_whoever_owns_it_now() -> None:
    thing = live()
    thing["spec"]["replicas"] = 5
    del thing["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:replicas"]
    found = seen(thing)
    assert found["spec"]["replicas"] == 5
    assert {**found, "spec": {**found["spec"], "replicas": 2}} == WANTED


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", "example.com/b@sha256:1"),
        ("args", ["--port", "8001"]),
        ("args", ["--port"]),
        ("env", [{"name": "EMPTY"}, {"name": "MODE", "value": "n"}]),
        ("env", [{"name": "EMPTY"}]),
        ("ports", []),
        ("resources", {"limits": {"cpu": "2", "memory": "512Mi"}}),
        ("resources", {"limits": {"cpu": "1", "memory": "512M"}}),
    ],
)
def test_every_edit_of_what_we_want_shows(field: str, value: Any) -> None:
    thing = live()
    server(thing)[field] = value
    assert seen(thing) != WANTED


def test_what_others_add_is_theirs() -> None:
    thing = live()
    server(thing)["env"].append({"name": "INJECTED", "value": "1"})
    thing["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "x"})
    thing["metadata"]["labels"]["team"] = "blue"
    assert seen(thing) == WANTED


def test_what_we_hold_and_no_longer_want_is_ours_to_take_away() -> None:
    wanted = {**WANTED, "metadata": {"name": "probe", "namespace": "default"}}
    found = seen(live(), wanted)
    assert found["metadata"]["labels"] == {"app": "probe"}
    spec = dict(WANTED["spec"])
    template = {**spec["template"], "spec": {**spec["template"]["spec"], "containers": []}}
    found = seen(live(), {**WANTED, "spec": {**spec, "template": template}})
    (held,) = found["spec"]["template"]["spec"]["containers"]
    assert held["name"] == "server"


def test_what_is_off_and_was_taken_away_differs_from_what_the_server_leaves_out() -> None:
    thing = live()
    del thing["spec"]["template"]["spec"]["automountServiceAccountToken"]
    fields = observed_fields(thing)
    pod = fields["owned"]["f:spec"]["f:template"]["f:spec"]
    fields["owned"] = {
        "f:spec": {"f:template": {"f:spec": {key: pod[key] for key in ("f:containers", "f:hostNetwork")}}}
    }
    found: Any = projected(fields, {OBJECT: WANTED})[OBJECT]
    assert "automountServiceAccountToken" not in found["spec"]["template"]["spec"]
    assert found["spec"]["template"]["spec"]["hostNetwork"] is False


def test_numbers_outside_of_amounts_are_what_they_are() -> None:
    thing = live()
    server(thing)["args"] = ["--port", "8000.0"]
    assert seen(thing) != WANTED
    thing = live()
    thing["spec"]["replicas"] = True
    assert seen(thing)["spec"]["replicas"] is True


def test_what_is_not_done_differs_although_it_is_spelled_as_wanted() -> None:
    assert seen(live(), state="1 of 2 copies are new") == {**WANTED, STATE: "1 of 2 copies are new"}


def test_what_is_not_ours_is_taken_as_it_is() -> None:
    assert projected({OBJECT: {}, FOREIGN: True}, {OBJECT: WANTED}) == {OBJECT: WANTED}


POLICY: dict[str, Any] = {
    "metadata": {"name": "probe", "labels": {"app": "probe"}},
    "spec": {
        "podSelector": {"matchLabels": {"app": "probe"}},
        "ingress": [{"ports": [{"port": 8000}]}],
        "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}, {"ports": [{"port": 53, "protocol": "UDP"}]}],
    },
}
"""What the server takes as one: a policy's rules, and what it selects."""


def policy(*held: str) -> dict[str, Any]:
    """The same as the server has it, with which fields of ``spec`` are ours."""
    thing = copy.deepcopy(POLICY)
    thing["spec"]["ingress"][0]["ports"][0]["protocol"] = "TCP"
    thing["spec"]["policyTypes"] = ["Ingress"]
    marks = {
        "f:metadata": {"f:labels": {"f:app": {}}},
        **({"f:spec": {f"f:{key}": {} for key in held}} if held else {}),
    }
    thing["metadata"]["managedFields"] = [{"manager": "mcp-pack", "operation": "Apply", "fieldsV1": marks}]
    return thing


def paths(thing: dict[str, Any]) -> list[str]:
    """Which fields a plan names."""
    observed = Observed("networkpolicy", "probe", observed_fields(thing))
    found = compare({OBJECT: POLICY}, observed, Kind("networkpolicy", project=projected))
    return [change.path for change in found.fields]


def test_defaults_in_what_is_taken_as_one_are_the_servers() -> None:
    assert paths(policy("ingress", "egress", "podSelector")) == []


def test_what_somebody_adds_to_a_list_that_is_taken_as_one_is_named_by_its_path() -> None:
    thing = policy("ingress", "podSelector")
    thing["spec"]["egress"][0]["to"][0]["ipBlock"]["except"] = ["192.0.2.7/32"]
    assert paths(thing) == ["object.spec.egress[0].to[0].ipBlock.except"]
    thing = policy("egress", "podSelector")
    thing["spec"]["ingress"][0]["from"] = [{"podSelector": {}}]
    assert "object.spec.ingress[0].from" in paths(thing)


def test_what_somebody_adds_to_a_map_that_is_taken_as_one_is_named_by_its_path() -> None:
    thing = policy("ingress", "egress")
    thing["spec"]["podSelector"]["matchLabels"]["version"] = "old"
    assert paths(thing) == ["object.spec.podSelector.matchLabels.version"]


def test_what_somebody_changes_where_nothing_of_ours_is_left_is_named_by_its_path() -> None:
    thing = policy()
    thing["spec"]["egress"][1]["ports"][0]["endPort"] = 60
    assert "object.spec.egress[1].ports[0].endPort" in paths(thing)


def test_a_list_that_has_another_length_is_named_whole() -> None:
    thing = policy("ingress", "podSelector")
    thing["spec"]["egress"].append({})
    assert paths(thing) == ["object.spec.egress"]


def test_what_one_of_a_merged_list_holds_as_one_is_seen_too() -> None:
    wanted, thing = copy.deepcopy(WANTED), live()
    header = {"name": "Host", "value": "localhost"}
    server(wanted)["readinessProbe"] = {"httpGet": {"httpHeaders": [header]}}
    server(thing)["readinessProbe"] = {"httpGet": {"httpHeaders": [{**header, "more": "1"}], "scheme": "HTTP"}}
    held = thing["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    probe: dict[str, Any] = {"f:httpHeaders": {}}
    held['k:{"name":"server"}']["f:readinessProbe"] = {"f:httpGet": probe}
    assert seen(thing, wanted) == wanted
    del probe["f:httpHeaders"]
    (found,) = server(seen(thing, wanted))["readinessProbe"]["httpGet"]["httpHeaders"]
    assert found == {**header, "more": "1"}


def test_where_nobody_says_what_is_whose_nothing_is_taken_for_an_addition() -> None:
    thing = policy()
    thing["metadata"]["managedFields"] = []
    thing["spec"]["egress"][0]["more"] = []
    assert paths(thing) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", Fraction(1)),
        ("500m", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("1Ki", Fraction(1024)),
        ("1k", Fraction(1000)),
        ("1e3", Fraction(1000)),
        ("1E", Fraction(10**18)),
        ("12E-1", Fraction(12, 10)),
        (2, Fraction(2)),
        ("100n", Fraction(1, 10**7)),
        ("-3Mi", Fraction(-3 * 2**20)),
        ("1 Ki", None),
        ("Ki", None),
        ("", None),
        ("1kk", None),
        (True, None),
        (None, None),
    ],
)
def test_amounts(text: Any, number: Fraction | None) -> None:
    assert amount(text) == number

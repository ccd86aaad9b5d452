"""Tools behind one load balancer: what of them the controller would shadow, stop or not hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from mcp_targets.eks.groups import (
    TARGET_GROUPS,
    Classes,
    Member,
    classes,
    crowded,
    differing,
    members,
    platform_problems,
    problems,
)

PREFIX = "alb.ingress.kubernetes.io/"
ALB = Classes({"alb": {}, "platform": {"group": {"name": "edge"}, "scheme": "internal"}})


def ingress(
    tool: str,
    host: str,
    *paths: str,
    group: str | None = "tools",
    of_class: str = "alb",
    said: Mapping[str, str] | None = None,
    labelled: bool = True,
) -> dict[str, Any]:
    labels = {"mcp-pack/project": "team", "mcp-pack/tool": tool, "mcp-pack/stage": "default"}
    annotations = {**({"group.name": group} if group else {}), **(said or {})}
    backend = {"service": {"name": tool, "port": {"number": 80}}}
    return {
        "metadata": {
            "name": tool,
            "namespace": "mcp-tools",
            "labels": labels if labelled else {},
            "annotations": {PREFIX + key: value for key, value in annotations.items()},
        },
        "spec": {
            "ingressClassName": of_class,
            "rules": [{"host": host, "http": {"paths": [{"path": path, "backend": backend} for path in paths]}}],
        },
    }


def seen(*ingresses: Mapping[str, Any], known: Classes = ALB) -> tuple[Member, ...]:
    return members(ingresses, known)


def found(ours: Mapping[str, Any], *others: Mapping[str, Any], known: Classes = ALB) -> list[Any]:
    return list(problems(seen(ours, known=known), seen(*others, known=known)))


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/mcp*", "/mcp/*"])
def test_a_host_and_path_that_another_has_is_refused_with_both_names(path: str) -> None:
    (problem,) = found(ingress("notes", "a.example.com", "/mcp"), ingress("other", "A.example.com", path))
    assert "team/notes (default) and team/other (default) both claim a.example.com/mcp" in problem.what
    assert problem.found == "Ingress mcp-tools/other"


def test_who_made_an_ingress_by_hand_is_named_by_it() -> None:
    by_hand = ingress("other", "a.example.com", "/mcp", labelled=False)
    (problem,) = found(ingress("notes", "a.example.com", "/mcp"), by_hand)
    assert "the Ingress mcp-tools/other" in problem.what


@pytest.mark.parametrize(
    "other",
    [
        ingress("other", "b.example.com", "/mcp"),
        ingress("other", "a.example.com", "/other/mcp"),
        ingress("other", "a.example.com", "/mcp", group="elsewhere"),
        ingress("other", "a.example.com", "/mcp", group=None),
        ingress("other", "a.example.com", "/mcp", of_class="nginx"),
    ],
    ids=["host", "path", "group", "of its own", "another controller"],
)
def test_what_is_not_in_the_way_is_not_refused(other: dict[str, Any]) -> None:
    assert found(ingress("notes", "a.example.com", "/mcp"), other) == []


def test_one_setting_that_two_say_otherwise_stops_the_group_and_is_refused() -> None:
    ours = ingress("notes", "a.example.com", "/mcp", said={"scheme": "internal"})
    theirs = ingress("other", "b.example.com", "/mcp", said={"scheme": "internet-facing"})
    (problem,) = found(ours, theirs)
    assert "team/notes (default) and team/other (default)" in problem.what
    assert "differ in scheme" in problem.what
    assert (problem.expected, problem.found) == (
        "scheme = internet-facing, as team/other (default) has it",
        "scheme = internal",
    )


def test_attributes_are_compared_one_by_one() -> None:
    ours = ingress("notes", "a", "/mcp", said={"load-balancer-attributes": "idle_timeout.timeout_seconds=300,x=1"})
    theirs = ingress("other", "b", "/mcp", said={"load-balancer-attributes": "y=2, idle_timeout.timeout_seconds=900"})
    (problem,) = found(ours, theirs)
    assert "differ in idle_timeout.timeout_seconds" in problem.what


def test_what_the_class_says_cannot_be_in_conflict() -> None:
    ours = ingress("notes", "a", "/mcp", of_class="platform", group=None, said={"scheme": "internal"})
    theirs = ingress("other", "b", "/mcp", of_class="platform", group=None, said={"scheme": "internet-facing"})
    assert found(ours, theirs) == []
    assert {one.group for one in seen(ours, theirs)} == {"edge"}


def many(count: int, group: str = "tools-1") -> list[dict[str, Any]]:
    return [ingress(f"tool-{number:03}", f"{number}.example.com", "/mcp", group=group) for number in range(count)]


def test_a_group_over_the_limit_is_refused_before_it_is() -> None:
    ours = ingress("notes", "notes.example.com", "/mcp", group="tools-1")
    assert found(ours, *many(TARGET_GROUPS - 1)) == []
    (problem,) = found(ours, *many(TARGET_GROUPS))
    assert "team/notes (default) does not fit into tools-1" in problem.what
    assert 'group = "tools-2"' in problem.fix
    assert problem.found == (
        "101, of team/tool-000 (default), team/tool-001 (default), team/tool-002 (default), team/tool-003 (default), "
        "team/tool-004 (default) and 95 more"
    )


def test_a_tool_that_is_deployed_again_is_not_counted_twice() -> None:
    ours = many(TARGET_GROUPS)[0]
    assert found(ours, *many(TARGET_GROUPS)[1:]) == []


def test_rules_that_a_quota_may_not_hold_are_told() -> None:
    ours, others = seen(ingress("notes", "n.example.com", "/mcp", "/a", group="tools-1")), seen(*many(99))
    (line,) = crowded(ours, others)
    assert "tools-1 has 101 rules" in line
    assert not list(crowded(ours, others[:98]))


def params(owner: str | None, idle: str = "300", scheme: str = "internal") -> dict[str, Any]:
    return {
        "metadata": {"name": "mcp-pack-tools", "annotations": {"mcp-pack/owner": owner} if owner else {}},
        "spec": {
            "group": {"name": "tools"},
            "scheme": scheme,
            "loadBalancerAttributes": [{"key": "idle_timeout.timeout_seconds", "value": idle}],
        },
    }


MINE = "team/notes/default"


def test_two_tools_that_want_one_load_balancer_to_be_two_things_are_both_named() -> None:
    problem = differing(params(MINE, "900"), params("team/other/prod"), "team/notes (default)", ["team/other/prod"])
    assert problem is not None
    assert "team/notes (default) and team/other/prod share the group tools" in problem.what
    assert problem.expected == "idle_timeout.timeout_seconds = 300, as it is"
    assert problem.found == "idle_timeout.timeout_seconds = 900"


@pytest.mark.parametrize(
    ("there", "in_use"),
    [
        (params("team/other/prod", "900"), ["team/other/prod"]),
        (params(MINE), []),
        (params("team/other/prod"), ["team/third/prod"]),
    ],
    ids=["the same", "ours", "its owner is gone"],
)
def test_who_may_say_what_a_load_balancer_is_like(there: dict[str, Any], in_use: Sequence[str]) -> None:
    assert differing(params(MINE, "900"), there, "team/notes (default)", in_use) is None


def test_parameters_that_nobody_deployed_are_not_changed() -> None:
    problem = differing(params(MINE, "900"), params(None), "team/notes (default)", [])
    assert problem is not None
    assert "which no deployment made" in problem.what


def platform(name: str = "platform", **of: Any) -> list[str]:
    asked: dict[str, Any] = {"scheme": None, "idle": 300, "timeout": 60.0, **of}
    known = Classes({"platform": {**params(None)["spec"]}})
    return [problem.what for problem in platform_problems(name, known, **asked)]


def test_a_class_that_the_cluster_lacks_is_said() -> None:
    assert "no IngressClass other" in platform("other")[0]


def test_a_class_with_another_scheme_is_said() -> None:
    assert platform(scheme="internal") == []
    assert "is internal, and the manifest wants it to be internet-facing" in platform(scheme="internet-facing")[0]


def test_a_class_that_cuts_connections_sooner_than_calls_end_is_said() -> None:
    assert platform(timeout=299.0) == []
    assert "cuts a connection after 300 s" in platform(timeout=300.0)[0]
    assert "the server is made for 200 s" in platform(idle=200)[0]


def test_classes_are_those_of_an_alb_alone() -> None:
    def of(name: str, controller: str, parameters: str | None = None, *, default: bool = False) -> dict[str, Any]:
        annotations = {"ingressclass.kubernetes.io/is-default-class": "true"} if default else {}
        spec = {"controller": controller, **({"parameters": {"name": parameters}} if parameters else {})}
        return {"metadata": {"name": name, "annotations": annotations}, "spec": spec}

    found = classes(
        [
            of("alb", "ingress.k8s.aws/alb", "mcp-pack-tools", default=True),
            of("auto", "eks.amazonaws.com/alb"),
            of("nginx", "k8s.io/ingress-nginx"),
        ],
        [params(None)],
    )
    assert set(found.params) == {"alb", "auto"}
    assert found.params["alb"]["scheme"] == "internal"
    unnamed = {"metadata": {"name": "x"}, "spec": {}}
    assert found.of(unnamed) == "alb"
    assert Classes({"auto": {}}).of(unnamed) is None
    old = {"metadata": {"name": "x", "annotations": {"kubernetes.io/ingress.class": "auto"}}, "spec": {}}
    assert found.of(old) == "auto"

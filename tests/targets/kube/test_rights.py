"""What the Pods may do: a change widens it before the switch and narrows it when the last old Pod is gone, unasked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mcp_packager.engine import diff
from mcp_packager.errors import UserError
from mcp_packager.pipeline.aiming import Aimed
from mcp_packager.pipeline.deploy import _ask
from mcp_packager.target import (
    Action,
    Key,
    Kind,
    Observed,
    Phase,
    Plan,
    Resource,
    Step,
    WorldInput,
)
from mcp_targets._aws import iam
from mcp_targets._kube.client import kubeconfig
from mcp_targets._kube.kinds import ALLOWING, KINDS
from mcp_targets._kube.world import KubeWorld
from mcp_targets.eks.account import KINDS as BESIDE
from tests.targets.aws.deployments import desired, written
from tests.targets.kube.samples import SMALLEST, Made, made
from tests.targets.kube.test_world_client import Said, config, serving

LIST = '[[permissions.kubernetes]]\nresources = ["configmaps"]\nverbs = ["get", "list"]\n'
GET = LIST.replace(', "list"', "")


def named(found: Made, kind: str) -> dict[str, Any]:
    """The objects of a kind that a deploy wants, by name."""
    return {one.name: one.fields["object"] for one in found.resources if one.kind == kind}


def plan(wanted: tuple[Resource, ...], there: tuple[Resource, ...], kinds: tuple[Kind, ...] = KINDS) -> Plan:
    observed = {it.key: Observed(*it.key, {**it.fields, "made": "1", "version": "1"}, it.scope) for it in there}
    return diff(wanted, observed, kinds)


def test_the_role_is_bound_by_the_name_that_holds_its_rules(tmp_path: Path) -> None:
    found = made(tmp_path, SMALLEST + LIST)
    ((name, _),) = named(found, "role").items()
    (binding,) = named(found, "rolebinding").values()
    assert binding["roleRef"]["name"] == name != found.of("Role")["metadata"]["name"]
    assert named(made(tmp_path, SMALLEST + LIST), "role").keys() == {name}
    assert not named(made(tmp_path, SMALLEST + GET), "role").keys() & {name}


def test_whoever_applies_files_has_one_name_for_each(tmp_path: Path) -> None:
    found = [made(tmp_path, SMALLEST + text) for text in (LIST, GET)]
    for kind in ("Role", "RoleBinding", "NetworkPolicy"):
        assert len({one.of(kind)["metadata"]["name"] for one in found}) == 1


@pytest.mark.parametrize(("before", "after"), [(LIST, GET), (GET, LIST), (LIST, "")])
def test_a_change_of_rights_makes_the_new_first_and_takes_the_old_last(tmp_path: Path, before: str, after: str) -> None:
    old, new = (made(tmp_path / name, SMALLEST + text) for name, text in (("old", before), ("new", after)))
    changes = [change for change in plan(new.resources, old.resources).changes if change.key.kind in ALLOWING]
    assert {change.action for change in changes} <= {Action.CREATE, Action.DELETE}
    for kind in ALLOWING:
        lost = [change for change in changes if change.action is Action.DELETE and change.key.kind == kind]
        assert {change.key.name for change in lost} == named(old, kind).keys() - named(new, kind).keys()
    assert {change.phase for change in changes if change.action is Action.CREATE} <= {Phase.PREPARE}
    assert {change.phase for change in changes if change.action is Action.DELETE} == {Phase.RETIRE}


def test_an_unchanged_tool_keeps_its_names(tmp_path: Path) -> None:
    one, two = (made(tmp_path / name, SMALLEST + LIST) for name in ("one", "two"))
    assert not [one for one in plan(two.resources, one.resources).changes if one.key.kind in ALLOWING]


def aws(folder: Path, action: str) -> tuple[Resource, ...]:
    more = f'[[permissions.aws]]\nactions = ["{action}"]\nresources = ["*"]'
    return tuple(desired(written(folder, more=more)).values())


def asked(due: Plan, before: tuple[Resource, ...], kinds: tuple[Kind, ...]) -> list[str]:
    """What a deploy asks before it goes on."""
    questions: list[str] = []
    current = SimpleNamespace(intent=SimpleNamespace(resources=before))
    aimed = SimpleNamespace(
        current=current, world=SimpleNamespace(kinds=kinds), built=SimpleNamespace(aim=SimpleNamespace(name="eks"))
    )

    def no(text: str) -> bool:
        questions.append(text)
        return False

    try:
        _ask(cast("Aimed", aimed), due, no)
    except UserError:
        assert questions
    return questions


def test_an_old_policy_of_aws_goes_last_and_unasked(tmp_path: Path) -> None:
    kinds = (*BESIDE, *KINDS)
    old, new = (aws(tmp_path / name, action) for name, action in (("a", "s3:GetObject"), ("b", "s3:PutObject")))
    due = plan(new, old, kinds)
    policies = [(change.action, change.phase) for change in due.changes if change.key.kind == iam.POLICY_KIND]
    assert policies == [(Action.CREATE, Phase.PREPARE), (Action.DELETE, Phase.RETIRE)]
    assert asked(due, old, kinds) == []


def test_a_role_that_is_no_longer_wanted_is_asked_about(tmp_path: Path) -> None:
    kinds = (*BESIDE, *KINDS)
    old, new = aws(tmp_path / "a", "s3:GetObject"), tuple(desired(written(tmp_path / "b")).values())
    (question,) = asked(plan(new, old, kinds), old, kinds)
    assert "delete iam-role" in question
    assert "iam-policy" not in question


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def world(said: Said, tmp_path: Path) -> Iterator[KubeWorld]:
    found = made(tmp_path, SMALLEST)
    with serving(said) as server:
        (tmp_path / "config").write_text(config(server))
        environ = {"KUBECONFIG": str(tmp_path / "config")}
        options = found.manifest.targets["kubernetes"]
        yield KubeWorld(WorldInput(found.request.identity, options=options), kubeconfig("one", environ))


def pods(*ending: bool) -> tuple[int, Any]:
    now = dt.datetime.now(dt.UTC).isoformat()
    return 200, {
        "items": [
            {"metadata": {"deletionTimestamp": now} if gone else {}, "spec": {"terminationGracePeriodSeconds": 300}}
            for gone in ending
        ]
    }


def test_rights_go_when_the_last_pod_that_ends_is_gone(world: KubeWorld, said: Said) -> None:
    said.answers = [pods(False, True), pods(False, True), pods(False), (200, {})]
    world.apply(Step(Action.DELETE, Key("role", "old"), None, None))
    methods = [method for method, *_ in said.asked]
    assert methods == ["GET", "GET", "GET", "DELETE"]
    assert said.answers == []
    assert all("mcp-pack%2Ftool%3Dshop" in path for method, path, *_ in said.asked if method == "GET")


def test_what_allows_nothing_goes_at_once(world: KubeWorld, said: Said) -> None:
    said.answers = [(200, {})]
    world.apply(Step(Action.DELETE, Key("configmap", "old"), None, None))
    assert [method for method, *_ in said.asked] == ["DELETE"]

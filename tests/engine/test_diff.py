from __future__ import annotations

import time
import tracemalloc
from dataclasses import replace

import pytest

from mcp_packager import engine
from mcp_packager.target import (
    Action,
    Generated,
    Intent,
    Key,
    Kind,
    Lifetime,
    Observed,
    Phase,
    Ref,
    Resource,
    Scope,
    Unknown,
)
from tests.engine.fake import Cloud, FakeWorld, intent, run, verify

A, B = Key("a", "one"), Key("b", "two")
KINDS = (Kind("a", stable=frozenset({"arn"})), Kind("b", replace_on=frozenset({"zone"})))


def test_what_an_update_leaves_alone_is_known_before() -> None:
    wanted = (
        Resource("a", "one", {"x": 2}),
        Resource("b", "two", {"arn": Ref(A, "arn"), "version": Ref(A, "version")}),
    )
    there = {
        A: Observed("a", "one", {"x": 1, "arn": "arn:1", "version": 7}),
        B: Observed("b", "two", {"arn": "arn:1", "version": 7}),
    }
    first, second = engine.diff(wanted, there, KINDS).changes
    assert (first.action, second.action) == (Action.UPDATE, Action.UPDATE)
    assert [(field.path, field.new) for field in second.fields] == [("version", Unknown("a one.version"))]


def test_a_ref_to_a_desired_field_is_known_even_before_creation() -> None:
    wanted = (Resource("a", "one", {"x": 2}), Resource("b", "two", {"copy": Ref(A, "x")}))
    _, second = engine.diff(wanted, {}, KINDS).changes
    assert second.fields[0].new == 2


def test_nested_fields_are_told_one_by_one() -> None:
    wanted = (Resource("a", "one", {"env": {"same": 1, "new": 2, "changed": {"deep": [1]}}}),)
    there = {A: Observed("a", "one", {"env": {"same": 1, "old": 3, "changed": {"deep": [2]}}})}
    (change,) = engine.diff(wanted, there, KINDS).changes
    assert [(field.path, field.old, field.new) for field in change.fields] == [
        ("env.changed.deep", [2], [1]),
        ("env.new", None, 2),
        ("env.old", 3, None),
    ]


def test_a_field_that_cannot_change_in_place_replaces() -> None:
    there = {B: Observed("b", "two", {"zone": "x", "size": 1})}
    (change,) = engine.diff((Resource("b", "two", {"zone": "y", "size": 1}),), there, KINDS).changes
    assert change.action is Action.REPLACE


def test_a_projection_hides_what_is_not_ours() -> None:
    lower = Kind("a", project=lambda have, want: {name: str(have.get(name)).lower() for name in want})
    there = {A: Observed("a", "one", {"name": "LOUD", "status": "Active"})}
    assert not engine.diff((Resource("a", "one", {"name": "loud"}),), there, (lower,)).due


def test_transients_come_and_go_only_with_a_switch() -> None:
    candidate = Resource("a", "candidate", {}, phase=Phase.CANDIDATE, lifetime=Lifetime.TRANSIENT)
    service = Resource("b", "two", {"size": 1}, phase=Phase.SWITCH)
    there = {B: Observed("b", "two", {"size": 1})}
    assert not engine.diff((candidate, service), there, KINDS).due
    leftover = {**there, candidate.key: Observed("a", "candidate", {})}
    (change,) = engine.diff((candidate, service), leftover, KINDS).changes
    assert change.action is Action.DELETE
    moved = engine.diff((candidate, service), {B: Observed("b", "two", {"size": 2})}, KINDS)
    assert [change.action for change in moved.changes] == [Action.CREATE, Action.UPDATE, Action.DELETE]


def test_what_stays_says_why() -> None:
    there = {
        Key("a", "shared"): Observed("a", "shared", {}, Scope.SHARED),
        Key("a", "data"): Observed("a", "data", {}, Scope.DATA),
        Key("a", "old"): Observed("a", "old", {}),
        Key("a", "gone"): Observed("a", "gone", {}),
    }
    plan = engine.diff((), there, KINDS, kept=frozenset({Key("a", "old")}))
    assert [change.key.name for change in plan.changes] == ["gone"]
    assert {kept.key.name: kept.why for kept in plan.kept} == {
        "shared": "shared with other tools",
        "data": "data",
        "old": "an earlier release needs it",
    }
    assert {change.key.name for change in engine.diff((), there, KINDS, data=True).changes} == {"gone", "old", "data"}


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ((Resource("a", "one", {}), Resource("a", "one", {})), "desired twice"),
        ((Resource("b", "two", {"x": Ref(A, "x")}),), "nothing makes"),
        ((Resource("a", "one", {}, (B,)), Resource("b", "two", {}, (A,))), "circle"),
        ((Resource("a", "one", {}, phase=Phase.SWITCH), Resource("b", "two", {}, (A,))), "later phase"),
    ],
)
def test_a_desired_state_that_is_not_sound(resources: tuple[Resource, ...], said: str) -> None:
    with pytest.raises(engine.PlanError, match=said):
        engine.diff(resources, {}, KINDS)


def test_the_drawing_is_short_and_aligned() -> None:
    wanted = (
        Resource("a", "one", {"size": 2, "key": Generated("key")}),
        Resource("b", "two", {"arn": Ref(A, "arn")}, phase=Phase.SWITCH),
    )
    kinds = (Kind("a"), Kind("b", effect="moves clients"))
    there = {
        A: Observed("a", "one", {"size": 1, "key": "k"}),
        B: Observed("b", "two", {"arn": "old"}),
        Key("a", "x"): Observed("a", "x", {}),
    }
    plan = engine.diff(wanted, there, kinds)
    assert engine.draw(plan) == (
        "~ update  a one  prepare\n"
        "    size  1 → 2\n"
        "~ update  b two  switch; moves clients\n"
        '    arn  "old" → known after apply (a one.arn)\n'
        "- delete  a x    retire\n"
        "2 to update, 1 to delete; clients are moved"
    )
    assert "\x1b[33m" in engine.draw(plan, colour=True)
    assert engine.draw(engine.diff((), {}, kinds)) == "nothing to do"


def a_thousand() -> Intent:
    resources = tuple(
        Resource(
            "role",
            f"r{number}",
            {"path": "/", "before": Ref(Key("role", f"r{number - 1}"), "arn")} if number else {"path": "/"},
        )
        for number in range(1000)
    )
    return replace(intent("1"), resources=resources)


def lived() -> tuple[int, bool]:
    """A plan, a deploy and another that finds nothing to do: how many changes, and whether the last one did any."""
    cloud = Cloud()
    world, wanted = FakeWorld(cloud), a_thousand()
    due = engine.plan(wanted, world)
    engine.deploy(wanted, world, verify=verify(cloud), run=run(cloud))
    return len(due.changes), engine.deploy(wanted, world, verify=verify(cloud), run=run(cloud)).changed


def test_a_thousand_resources_cost_little(capsys: pytest.CaptureFixture[str]) -> None:
    lived()
    began, busy = time.perf_counter(), time.process_time()
    assert lived() == (1000, False)
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    tracemalloc.start()
    lived()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    with capsys.disabled():
        print(
            f"\n1000 resources in the fake world, plan, deploy and a deploy with nothing to do: {seconds:.2f} s, of "
            f"which {busy:.2f} s of the processor; at most {peak / 2**20:.1f} MiB"
        )
    assert peak < 100 * 2**20

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from mcp_packager import engine
from mcp_packager.errors import Problem, UserError, WorldError
from mcp_packager.target import Action, Key, Outcome, Phase, Plan, Step, Value
from tests.engine.fake import Cloud, FakeWorld, deploy, intent, plain, run, verify


def test_first_deploy_makes_everything_and_leaves_no_candidate() -> None:
    cloud = Cloud()
    done = deploy(cloud, intent("1"))
    assert done.changed
    assert done.release.number == 1
    assert done.release.endpoint.url == "fake://registry/till-1"
    assert done.release.verified == ("registry/till-1 answers",)
    assert cloud.serving() == "registry/till-1"
    assert Key("server", "candidate") not in cloud.things
    assert cloud.holder is None


def test_again_writes_nothing() -> None:
    cloud = Cloud()
    deploy(cloud, intent("1"))
    world = FakeWorld(cloud)
    again = engine.deploy(intent("1"), world, verify=verify(cloud), run=run(cloud))
    assert not again.changed
    assert again.release.number == 1
    assert world.writes == []
    assert not engine.plan(intent("1"), world).due


def test_an_edit_touches_only_what_it_means() -> None:
    cloud = Cloud()
    deploy(cloud, intent("1"))
    due = engine.plan(intent("1", size=2), FakeWorld(cloud))
    assert [(change.action, str(change.key)) for change in due.changes] == [
        (Action.CREATE, "server candidate"),
        (Action.UPDATE, "service till"),
        (Action.DELETE, "server candidate"),
    ]
    (field,) = due.in_phase(Phase.SWITCH)[0].fields
    assert (field.path, field.old, field.new) == ("size", 1, 2)


def test_what_is_known_after_apply_and_stays_the_same_is_not_written() -> None:
    cloud = Cloud()
    deploy(cloud, intent("1"))
    # The role is made anew under another path, so its ARN, and with it the service, is known only after apply.
    world = FakeWorld(cloud)
    due = engine.plan(intent("1", path="/x/"), world)
    assert Action.REPLACE in {change.action for change in due.changes}
    assert "known after apply" in engine.draw(due)
    deploy(cloud, intent("1", path="/x/"))
    assert cloud.things[Key("service", "till")].fields["role"] == "arn:till:/x/"
    assert not engine.plan(intent("1", path="/x/"), world).due


def test_a_generated_value_is_kept() -> None:
    cloud = Cloud()
    deploy(cloud, intent("1"))
    before = cloud.things[Key("key", "till")].fields["secret"]
    deploy(cloud, intent("2"))
    assert cloud.things[Key("key", "till")].fields["secret"] == before


def test_a_bad_candidate_leaves_the_old_one_serving() -> None:
    cloud = Cloud()
    deploy(cloud, intent("1"))
    served = list(cloud.served)
    before = cloud.copied().state()["things"]
    with pytest.raises(engine.Stopped) as stopped:
        deploy(cloud, intent("2"), look=verify(cloud, bad=frozenset({"registry/till-2"})))
    assert "clients get release 1 (version 1) as before" in str(stopped.value)
    assert "not done: update service till" in str(stopped.value)
    assert cloud.served == served
    assert cloud.state()["things"] == before
    assert [release.outcome for release in FakeWorld(cloud).listing()] == [Outcome.DEPLOYED, Outcome.FAILED]
    assert cloud.holder is None


def test_what_fails_behind_the_switch_is_switched_back() -> None:
    cloud = Cloud()
    deploy(cloud, intent("1"))
    before = cloud.copied().state()["things"]
    with pytest.raises(engine.Stopped, match="clients get release 1"):
        deploy(cloud, intent("2"), look=verify(cloud, bad_outside=frozenset({"registry/till-2"})))
    assert cloud.served[-2:] == ["registry/till-2", "registry/till-1"]
    assert cloud.state()["things"] == before


def test_a_bad_first_version_leaves_nothing_but_data_and_what_is_shared() -> None:
    cloud = Cloud()
    with pytest.raises(engine.Stopped, match="nothing is left of this attempt"):
        deploy(cloud, intent("1"), look=verify(cloud, bad=frozenset({"registry/till-1"})))
    assert {str(key) for key in cloud.things} == {"network shared", "volume till"}


def test_rollback_goes_back_and_further_back() -> None:
    cloud = Cloud()
    for version in ("1", "2", "3"):
        deploy(cloud, intent(version))
    back = engine.rollback(FakeWorld(cloud), verify=verify(cloud), run=run(cloud))
    assert (back.release.number, back.release.rollback_of, cloud.serving()) == (4, 2, "registry/till-2")
    further = engine.rollback(FakeWorld(cloud), verify=verify(cloud), run=run(cloud))
    assert (further.release.rollback_of, cloud.serving()) == (1, "registry/till-1")
    to = engine.rollback(FakeWorld(cloud), verify=verify(cloud), run=run(cloud), to=3)
    assert (to.release.rollback_of, cloud.serving()) == (3, "registry/till-3")


def test_rollback_to_what_is_not_there() -> None:
    cloud = Cloud()
    with pytest.raises(UserError, match="nothing is deployed"):
        engine.rollback(FakeWorld(cloud), verify=verify(cloud), run=run(cloud))
    deploy(cloud, intent("1"))
    with pytest.raises(UserError, match="has none before it"):
        engine.rollback(FakeWorld(cloud), verify=verify(cloud), run=run(cloud))
    with pytest.raises(UserError, match="no release 7"):
        engine.rollback(FakeWorld(cloud), verify=verify(cloud), run=run(cloud), to=7)


def test_old_releases_are_kept_with_what_they_need_and_older_ones_go() -> None:
    cloud = Cloud()
    for version in ("1", "2", "3", "4"):
        deploy(cloud, intent(version, keep=2))
    images = {key.name for key in cloud.things if key.kind == "image"}
    assert images == {"till-2", "till-3", "till-4"}
    assert [release.number for release in FakeWorld(cloud).listing()] == [2, 3, 4]
    assert not engine.plan(intent("4", keep=2), FakeWorld(cloud)).due


def test_drift_is_seen_and_mended_without_a_release() -> None:
    cloud = Cloud()
    deploy(cloud, intent("1"))
    service = cloud.things[Key("service", "till")]
    cloud.things[Key("service", "till")] = type(service)(
        service.kind, service.name, {**service.fields, "size": 9, "annotation": "somebody else's"}
    )
    del cloud.things[Key("key", "till")]
    found = engine.drift(FakeWorld(cloud))
    assert found.drifted
    assert {str(change.key) for change in found.plan.changes} >= {"service till", "key till"}
    mended = deploy(cloud, intent("1"))
    assert mended.changed
    assert mended.release.number == 1
    assert not engine.drift(FakeWorld(cloud)).drifted
    assert cloud.things[Key("service", "till")].fields["annotation"] == "somebody else's"


def test_destroy_keeps_what_is_shared_and_data() -> None:
    cloud = Cloud()
    deploy(cloud, intent("1"))
    gone = engine.destroy(FakeWorld(cloud), run=run(cloud))
    assert {str(key) for key in cloud.things} == {"network shared", "volume till"}
    assert {str(kept.key) for kept in gone.kept} == {"network shared", "volume till"}
    assert not cloud.records
    engine.destroy(FakeWorld(cloud), data=True, run=run(cloud))
    assert {str(key) for key in cloud.things} == {"network shared"}


def test_deletions_come_in_reverse_order_of_kinds() -> None:
    cloud = Cloud()
    deploy(cloud, intent("1"))
    world = FakeWorld(cloud)
    engine.destroy(world, data=True, run=run(cloud))
    deleted = [write.split()[1] for write in world.writes if write.startswith("delete")]
    assert deleted == ["service", "role", "key", "image", "volume"]


def test_independent_resources_are_changed_side_by_side() -> None:
    import threading

    cloud = Cloud()
    together = threading.Barrier(2, timeout=10)

    class Meeting(FakeWorld):
        def apply(self, step):  # type: ignore[no-untyped-def]  # passes on what it gets
            if step.key.kind in {"role", "key"} and step.action is Action.CREATE:
                together.wait()
            return super().apply(step)

    engine.deploy(intent("1"), Meeting(cloud, plain), verify=verify(cloud), run=run(cloud, workers=4))
    assert cloud.serving() == "registry/till-1"


class RehearsingWorld(FakeWorld):
    """A world that is asked first, and says no to what it is told to."""

    def __init__(self, cloud: Cloud, refused: str = "") -> None:
        super().__init__(cloud)
        self.refused = refused
        self.rehearsed: list[str] = []

    def rehearse(self, plan: Plan) -> tuple[str, ...]:
        self.rehearsed = [str(change.key) for change in plan.changes]
        if self.refused:
            raise WorldError(Problem(f"{self.refused} is refused", "mend it"))
        return ("the network could not be tried",)


def test_a_world_that_can_be_asked_first_is_asked_before_the_first_change() -> None:
    cloud = Cloud()
    world = RehearsingWorld(cloud)
    engine.deploy(intent("1"), world, verify=verify(cloud), run=run(cloud))
    assert "service till" in world.rehearsed
    before = cloud.state()
    world = RehearsingWorld(cloud, "service till")
    with pytest.raises(engine.Stopped, match="service till is refused") as caught:
        engine.deploy(intent("2"), world, verify=verify(cloud), run=run(cloud))
    assert "nothing was changed" in str(caught.value)
    assert cloud.state() == before, "not even a failure is recorded"
    assert [write for write in world.writes if "lock" not in write] == []


class WaitingWorld(FakeWorld):
    """A world in which making the network lasts until nobody waits for it any more, and making the key fails."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.hurried = threading.Event()

    def apply(self, step: Step) -> Mapping[str, Value]:
        if step.key.kind == "network":
            assert self.hurried.wait(30), "nobody said that it is not waited for"
            raise WorldError(Problem("the network was no longer waited for", "run it again"))
        if step.key.kind == "key":
            raise WorldError(Problem("the key is refused", "mend it"))
        return super().apply(step)

    def hurry(self) -> None:
        self.hurried.set()


def test_what_is_waited_for_ends_when_something_else_failed() -> None:
    cloud = Cloud()
    world = WaitingWorld(cloud)
    with pytest.raises(engine.Stopped, match="the key is refused"):
        engine.deploy(intent("1"), world, verify=verify(cloud), run=run(cloud))
    assert world.hurried.is_set()

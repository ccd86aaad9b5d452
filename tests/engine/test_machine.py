"""Deploys, edits by others, kills, rollbacks, destroys and second deployers in any order."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mcp_packager import engine
from mcp_packager.errors import PackError
from mcp_packager.target import Key, Observed, Outcome
from tests.engine.fake import SERVICE, Cloud, FakeWorld, Fault, Kill, deploy, intent, run, throttled, verify

versions = st.sampled_from("12345")
moments = st.integers(0, 10)


def dies(moment: int, *, early: bool) -> Fault:
    """A process that dies at a write, before it or after it."""

    def fault(number: int, _: str, write: Any) -> Any:
        if number != moment:
            return write()
        if not early:
            write()
        raise Kill

    return fault


class Life(RuleBasedStateMachine):
    """One deployment, lived roughly. Unverified code behind the switch is refused by the fake world itself.

    ``served`` says whether clients have had a server and nobody asked for its end: then they must have one.
    """

    counts: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.cloud = Cloud()
        self.served = False

    @contextlib.contextmanager
    def at_risk(self, what: str) -> Iterator[None]:
        """Count what is done and how it ends: orderly, stopped, or killed, whose lock ends by itself."""
        try:
            yield
            self.counts[f"{what}: done"] += 1
        except Kill:
            self.counts[f"{what}: killed"] += 1
            self.cloud.now += 61
        except PackError:
            self.counts[f"{what}: stopped"] += 1
        self.served = self.served or (what != "destroy" and self.cloud.serving() is not None)

    @initialize(before=st.lists(versions, max_size=4, unique=True))
    def begin(self, before: list[str]) -> None:
        for version in before:
            deploy(self.cloud, intent(version))
        self.served = bool(before)

    @rule(version=versions, size=st.integers(1, 2))
    def deploy(self, version: str, size: int) -> None:
        wanted = intent(version, size=size)
        with self.at_risk("deploy"):
            deploy(self.cloud, wanted)
        assert self.cloud.serving() == f"registry/till-{version}"
        assert not engine.plan(wanted, FakeWorld(self.cloud)).due
        assert Key("server", "candidate") not in self.cloud.things
        assert sum(key.kind == "image" for key in self.cloud.things) <= 1 + wanted.keep
        assert len(self.cloud.records) <= 1 + wanted.keep + self.failures()

    def failures(self) -> int:
        return sum(release.outcome is Outcome.FAILED for release in engine.history(FakeWorld(self.cloud)))

    @rule(version=versions, moment=moments, early=st.booleans())
    def deploy_and_die(self, version: str, moment: int, early: bool) -> None:
        with self.at_risk("deploy"):
            deploy(self.cloud, intent(version), fault=dies(moment, early=early))

    @rule(version=versions, outside=st.booleans())
    def deploy_what_is_bad(self, version: str, outside: bool) -> None:
        bad = frozenset({f"registry/till-{version}"})
        look = verify(self.cloud, bad_outside=bad) if outside else verify(self.cloud, bad=bad)
        with self.at_risk("deploy of what is bad"):
            deploy(self.cloud, intent(version), look=look)

    @rule(version=versions, moment=moments)
    def deploy_in_bad_weather(self, version: str, moment: int) -> None:
        def fault(number: int, name: str, write: Any) -> Any:
            return throttled() if number >= moment and not name.startswith(("lock", "record", "forget")) else write()

        with self.at_risk("deploy in bad weather"):
            deploy(self.cloud, intent(version), fault=fault)

    @rule(size=st.integers(3, 5))
    def edit_by_hand(self, size: int) -> None:
        service = self.cloud.things.get(SERVICE)
        if service is not None:
            self.cloud.things[SERVICE] = Observed(*SERVICE, {**service.fields, "size": size})
            self.counts["edit by hand"] += 1
            assert engine.drift(FakeWorld(self.cloud)).drifted or engine.current(FakeWorld(self.cloud)) is None

    @rule(kind=st.sampled_from(["role", "key"]))
    def delete_by_hand(self, kind: str) -> None:
        if self.cloud.things.pop(Key(kind, "till"), None) is not None:
            self.counts["delete by hand"] += 1

    @precondition(lambda self: len(self.cloud.records) > 1)
    @rule()
    def roll_back(self) -> None:
        with self.at_risk("rollback"):
            engine.rollback(FakeWorld(self.cloud), verify=verify(self.cloud), run=run(self.cloud))

    @precondition(lambda self: len(self.cloud.records) > 1)
    @rule(moment=moments, early=st.booleans())
    def roll_back_and_die(self, moment: int, early: bool) -> None:
        world = FakeWorld(self.cloud, dies(moment, early=early))
        with self.at_risk("rollback"):
            engine.rollback(world, verify=verify(self.cloud), run=run(self.cloud))

    @precondition(lambda self: self.served)
    @rule()
    def a_second_deployer_is_kept_out(self) -> None:
        with engine.hold(FakeWorld(self.cloud).lock, run(self.cloud), "deploy"):
            before = self.cloud.state()
            with pytest.raises(PackError, match="holds the lock"):
                deploy(self.cloud, intent("8"))  # nobody else deploys that: there is something to do
            assert self.cloud.state() == before
        self.counts["second deployer: kept out"] += 1

    @precondition(lambda self: self.cloud.serving() != "registry/till-9")
    @rule(version=versions, moment=moments)
    def a_second_deployer_overtakes_one_that_was_thought_dead(self, version: str, moment: int) -> None:
        """The first sleeps past its lease at a write and then goes on: it must stop before its next write.

        The second has something to do, or it would not even take the lock.
        """
        overtaken: list[str] = []

        def fault(number: int, _: str, write: Any) -> Any:
            answer = write()
            if number == moment and self.cloud.holder is not None and not overtaken:
                self.cloud.now += 61
                deploy(self.cloud, intent("9"))
                overtaken.append("registry/till-9")
            return answer

        world = FakeWorld(self.cloud, fault)
        with self.at_risk("deploy that sleeps"):
            engine.deploy(intent(version), world, verify=verify(self.cloud), run=run(self.cloud))
        if overtaken:
            self.counts["second deployer: overtook"] += 1
            assert self.cloud.serving() == overtaken[0]

    @precondition(lambda self: self.served)
    @rule()
    def destroy(self) -> None:
        self.served = False
        with self.at_risk("destroy"):
            engine.destroy(FakeWorld(self.cloud), data=True, run=run(self.cloud))
        assert {key.kind for key in self.cloud.things} <= {"network"}
        assert not self.cloud.records

    @precondition(lambda self: self.served)
    @rule(moment=moments, early=st.booleans())
    def destroy_and_die(self, moment: int, early: bool) -> None:
        self.served = False
        with self.at_risk("destroy"):
            engine.destroy(FakeWorld(self.cloud, dies(moment, early=early)), data=True, run=run(self.cloud))

    @invariant()
    def clients_have_a_server_if_they_had_one(self) -> None:
        assert not self.served or self.cloud.serving() is not None

    @invariant()
    def the_current_release_can_be_deployed_again(self) -> None:
        current = engine.current(FakeWorld(self.cloud))
        if current is not None:
            trial = self.cloud.copied()
            deploy(trial, current.intent)
            assert trial.serving() == f"registry/till-{current.intent.artifact.version}"

    @invariant()
    def a_destroy_leaves_nothing(self) -> None:
        trial = self.cloud.copied()
        engine.destroy(FakeWorld(trial), data=True, run=run(trial))
        assert {key.kind for key in trial.things} <= {"network"}
        assert not trial.records


def test_a_rough_life(capsys: pytest.CaptureFixture[str]) -> None:
    Life.counts.clear()
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
    with capsys.disabled():
        told = ", ".join(f"{what} {count}" for what, count in sorted(Life.counts.items()))
        print(f"\na rough life: {told}")
    assert sum(count for what, count in Life.counts.items() if what.endswith("killed")) > 0
    assert Life.counts["second deployer: overtook"] > 0

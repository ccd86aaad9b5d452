"""Deploys, edits by others, kills, rollbacks, destroys and second deployers in any order."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mcp_packager import engine
from mcp_packager.errors import PackError
from mcp_packager.target import Key, Observed
from tests.engine.fake import SERVICE, Cloud, FakeWorld, Kill, deploy, intent, run, throttled, verify

versions = st.sampled_from("12345")
moments = st.integers(0, 14)


class Life(RuleBasedStateMachine):
    """One deployment, lived roughly. Unverified code behind the switch is refused by the fake world itself."""

    def __init__(self) -> None:
        super().__init__()
        self.cloud = Cloud()
        self.served = False

    def after(self) -> None:
        """Whoever died, their lock ends."""
        self.cloud.now += 61

    @rule(version=versions, size=st.integers(1, 2))
    def deploy(self, version: str, size: int) -> None:
        wanted = intent(version, size=size)
        deploy(self.cloud, wanted)
        assert self.cloud.serving() == f"registry/till-{version}"
        assert not engine.plan(wanted, FakeWorld(self.cloud)).due
        assert Key("server", "candidate") not in self.cloud.things
        assert sum(key.kind == "image" for key in self.cloud.things) <= 1 + wanted.keep
        self.served = True

    @rule(version=versions, moment=moments, early=st.booleans())
    def deploy_and_die(self, version: str, moment: int, early: bool) -> None:
        def fault(number: int, _: str, write: Any) -> Any:
            if number != moment:
                return write()
            if not early:
                write()
            raise Kill

        with contextlib.suppress(Kill):
            deploy(self.cloud, intent(version), fault=fault)
        self.after()

    @rule(version=versions, outside=st.booleans())
    def deploy_what_is_bad(self, version: str, outside: bool) -> None:
        image = f"registry/till-{version}"
        serving = self.cloud.serving()
        bad = frozenset({image})
        look = verify(self.cloud, bad_outside=bad) if outside else verify(self.cloud, bad=bad)
        with contextlib.suppress(PackError):
            deploy(self.cloud, intent(version), look=look)
        current = engine.current(FakeWorld(self.cloud))
        if current is not None and serving is not None:
            assert self.cloud.serving() is not None

    @rule(version=versions, moment=moments)
    def deploy_in_bad_weather(self, version: str, moment: int) -> None:
        def fault(number: int, name: str, write: Any) -> Any:
            return throttled() if number >= moment and not name.startswith(("lock", "record", "forget")) else write()

        with contextlib.suppress(PackError):
            deploy(self.cloud, intent(version), fault=fault)

    @rule(size=st.integers(3, 5))
    def edit_by_hand(self, size: int) -> None:
        service = self.cloud.things.get(SERVICE)
        if service is not None:
            self.cloud.things[SERVICE] = Observed(*SERVICE, {**service.fields, "size": size})
            assert engine.drift(FakeWorld(self.cloud)).drifted or engine.current(FakeWorld(self.cloud)) is None

    @rule(kind=st.sampled_from(["role", "key"]))
    def delete_by_hand(self, kind: str) -> None:
        self.cloud.things.pop(Key(kind, "till"), None)

    @rule()
    def roll_back(self) -> None:
        with contextlib.suppress(PackError):
            engine.rollback(FakeWorld(self.cloud), verify=verify(self.cloud), run=run(self.cloud))

    @rule()
    def a_second_deployer_is_kept_out(self) -> None:
        with engine.hold(FakeWorld(self.cloud).lock, run(self.cloud), "deploy"):
            before = self.cloud.state()
            with contextlib.suppress(PackError):
                deploy(self.cloud, intent("9"))
                raise AssertionError("two deployers at once")
            assert self.cloud.state() == before

    @precondition(lambda self: self.served)
    @rule()
    def destroy(self) -> None:
        engine.destroy(FakeWorld(self.cloud), data=True, run=run(self.cloud))
        assert {key.kind for key in self.cloud.things} <= {"network"}
        assert not self.cloud.records
        self.served = False

    @invariant()
    def the_current_release_can_be_deployed_again(self) -> None:
        current = engine.current(FakeWorld(self.cloud))
        if current is not None:
            trial = self.cloud.copied()
            deploy(trial, current.intent)
            assert trial.serving() == f"registry/till-{current.intent.artifact.version}"


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

"""Deploys, rollbacks and destroys, whole and killed, and what others do by hand, in any order, on a real daemon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from mcp_packager import engine
from mcp_packager.target import State
from mcp_packager.testing import greeting
from tests.containers.asking import daemon
from tests.containers.test_docker_crash import Place, place, world
from tests.sampling import whole
from tests.targets.crash.matrix import KILLED

pytestmark = [
    pytest.mark.real("dockerd", "docker-registry", "base-image"),
    pytest.mark.xdist_group("docker"),
    pytest.mark.timeout(3600 if whole() else 600),
]

versions = st.sampled_from(["1.0.0", "2.0.0", "3.0.0"])
numbers = st.integers(0, 9)
sorts = st.sampled_from(["before", "after"])


class Life(RuleBasedStateMachine):
    """One deployment, lived roughly.

    ``served`` says whether clients have had a server that nobody took from them: then they must have one. No rule is
    chosen by it: whether a process that was killed had got so far is up to chance, and Hypothesis must draw alike.
    """

    here: ClassVar[Place]
    counts: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.served = False

    def run(self, what: str, *arguments: str, dies: tuple[str, int] | None = None) -> int:
        moment = None if dies is None else {"sort": dies[0], "number": dies[1], "step": ""}
        answer = self.here.commands.attempt(what, *arguments, moment=moment)
        code: int = answer["code"]
        self.counts[f"{what}: {'killed' if code == KILLED else 'done' if code == 0 else 'stopped'}"] += 1
        assert not answer["told"].startswith("Traceback"), answer["told"]
        assert code != KILLED or moment is not None, answer["told"]
        return code

    def done(self, what: str, *arguments: str) -> None:
        """Run one that must come to its end."""
        self.here.commands.run(what, *arguments)
        self.counts[f"{what}: done"] += 1

    def looked_at(self) -> None:
        """See whether clients have a server now: from then on they must."""
        self.served = world().status().state is State.RUNNING

    @initialize()
    def begin(self) -> None:
        self.deploy("1.0.0")

    @rule()
    def a_look_changes_nothing(self) -> None:
        """The simplest there is, and what Hypothesis therefore tries first: a life of nothing but this one."""
        before = world().observe()
        engine.drift(world())
        assert world().observe() == before

    @rule(version=versions)
    def deploy(self, version: str) -> None:
        self.here.write(version)
        self.done("deploy")
        self.looked_at()
        assert self.served
        assert self.answer().endswith(f"{version}.")
        assert not engine.drift(world()).drifted

    @rule(version=versions, sort=sorts, number=numbers)
    def deploy_and_die(self, version: str, sort: str, number: int) -> None:
        self.here.write(version)
        self.run("deploy", dies=(sort, number))
        if not self.served:
            self.looked_at()

    @rule()
    def deploy_what_does_not_start(self) -> None:
        self.here.write("4.0.0")
        self.here.project.break_start()
        assert self.run("deploy") not in {0, KILLED}

    @rule()
    def roll_back(self) -> None:
        if self.served:
            self.run("rollback")

    @rule(sort=sorts, number=numbers)
    def roll_back_and_die(self, sort: str, number: int) -> None:
        if self.served:
            self.run("rollback", dies=(sort, number))

    @rule(kind=st.sampled_from(["container", "front", "image"]))
    def take_away_by_hand(self, kind: str) -> None:
        label = {"label": ["mcp-pack/tool=suite-tool", f"mcp-pack/kind={kind}"]}
        for found in daemon().api.containers(all=True, filters=label):
            daemon().api.remove_container(found["Id"], force=True)
        self.counts[f"{kind}: taken away"] += 1
        self.served = self.served and kind == "image"

    @rule()
    def destroy(self) -> None:
        self.served = False
        self.done("destroy", "--data")
        self.here.nothing_left()

    @rule(sort=sorts, number=numbers)
    def destroy_and_die(self, sort: str, number: int) -> None:
        self.served = False
        self.run("destroy", "--data", dies=(sort, number))

    @invariant()
    def clients_have_a_server_if_they_had_one(self) -> None:
        assert not self.served or self.answer().startswith("hello, you!")

    def answer(self) -> str:
        endpoint = world().status().endpoint
        assert endpoint is not None
        assert endpoint.url is not None
        return greeting(endpoint.url)

    def teardown(self) -> None:
        self.here.write("1.0.0")
        self.done("destroy", "--data")
        self.here.nothing_left()


@contextmanager
def _told(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Say at the end what was lived through, however it ended."""
    try:
        yield
    finally:
        with capsys.disabled():
            told = ", ".join(f"{what} {count}" for what, count in sorted(Life.counts.items()))
            print(f"\ndocker, a rough life: {told}")


def test_a_rough_life(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examples, steps = (12, 14) if whole() else (2, 6)
    Life.counts.clear()
    with place(tmp_path, keep=2) as Life.here, _told(capsys):
        run_state_machine_as_test(
            Life,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                # What failed is told as it was: to look for less would live through it a hundred times more.
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    assert Life.counts["destroy: done"] > 0

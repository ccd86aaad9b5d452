"""Values that are made once more: delivered by the way of every deploy, and as they were after a failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mcp_packager import engine
from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Endpoint, Intent, Key, Outcome, Phase, Verification
from tests.engine.fake import SERVICE, Cloud, FakeWorld, intent, lost, plain, run, verify

TILL = Key("key", "till")
Look = Callable[[Endpoint, Intent], Verification]


def push(cloud: Cloud, look: Look | None = None, fault: Any = plain) -> engine.Deployed:
    world = FakeWorld(cloud, fault)
    return engine.deploy(intent("1"), world, verify=look or verify(cloud), run=run(cloud), anew=frozenset({TILL}))


def version(cloud: Cloud) -> str:
    """Of the key that clients' server has, which is the one that is there."""
    served: str = cloud.things[SERVICE].fields["key"]
    assert served == cloud.things[TILL].fields["version"]
    return served


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud()
    engine.deploy(intent("1"), FakeWorld(cloud), verify=verify(cloud), run=run(cloud))
    return cloud


def test_it_is_made_once_more_and_reaches_clients_and_nothing_else_is_touched(cloud: Cloud) -> None:
    before, things = version(cloud), dict(cloud.things)
    planned = engine.plan(intent("1"), FakeWorld(cloud), anew=frozenset({TILL}))
    assert [str(change.key) for change in planned.changes if change.phase is not Phase.RETIRE] == [
        "key till",
        "server candidate",
        "service till",
    ]
    done = push(cloud)
    assert (done.changed, done.release.number) == (True, 1)
    assert version(cloud) != before
    assert {key for key in things if cloud.things[key] != things[key]} == {TILL, SERVICE}
    assert cloud.things.keys() == things.keys()
    again = engine.deploy(intent("1"), FakeWorld(cloud), verify=verify(cloud), run=run(cloud))
    assert not again.changed


def test_each_time_is_another_version(cloud: Cloud) -> None:
    seen = {version(cloud)}
    for _ in range(3):
        push(cloud)
        seen.add(version(cloud))
    assert len(seen) == 4


def test_a_lost_answer_makes_one_more_not_two(cloud: Cloud) -> None:
    serial = cloud.serial
    answers = iter([False])

    def once(_: int, what: str, write: Callable[[], Any]) -> Any:
        if what == "update key till" and not next(answers, True):
            lost(write)
        return write()

    push(cloud, fault=once)
    assert cloud.serial == serial + 1


@pytest.mark.parametrize("looks", [1, 2], ids=["at the candidate", "at what clients get"])
def test_after_a_failure_it_is_what_it_was(cloud: Cloud, looks: int) -> None:
    before, things = version(cloud), dict(cloud.things)
    good, seen = verify(cloud), []

    def look(endpoint: Endpoint, wanted: Intent) -> Verification:
        seen.append(endpoint)
        if len(seen) == looks:
            raise WorldError(Problem("the new key opens nothing", "mend it"))
        answer: Verification = good(endpoint, wanted)
        return answer

    with pytest.raises(engine.Stopped, match=r"opens nothing") as caught:
        push(cloud, look)
    assert "clients get release 1 (version 1) as before" in str(caught.value)
    assert version(cloud) == before
    assert cloud.things == things
    assert [release.outcome for release in engine.history(FakeWorld(cloud))] == [Outcome.DEPLOYED, Outcome.FAILED]

"""Killed, throttled, unanswered at every write: every run ends as the undisturbed one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from mcp_packager import engine
from mcp_packager.errors import PackError
from mcp_packager.target import Holder
from tests.engine.fake import Cloud, FakeWorld, Kill, deploy, intent, lost, run, throttled, verify

LEASE = 60.0


def before(write: Callable[[], Any]) -> Any:
    raise Kill


def after(write: Callable[[], Any]) -> Any:
    write()
    raise Kill


def at(number: int, what: Callable[[Callable[[], Any]], Any]) -> Any:
    def fault(count: int, _: str, write: Callable[[], Any]) -> Any:
        return what(write) if count == number else write()

    return fault


Told = Callable[[str], None]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """Print a line past pytest's capture."""

    def tell(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", end="")

    return tell


def prepared() -> Cloud:
    cloud = Cloud()
    deploy(cloud, intent("1"))
    return cloud


def well_worn() -> Cloud:
    """As many earlier releases as are kept: the next deploy forgets one."""
    cloud = Cloud()
    for version in "134":
        deploy(cloud, intent(version))
    return cloud


def writes(cloud: Cloud) -> int:
    world = FakeWorld(cloud)
    engine.deploy(intent("2"), world, verify=verify(cloud), run=run(cloud))
    return len(world.writes)


@pytest.mark.parametrize("kill", [before, after])
@pytest.mark.parametrize("start", [Cloud, prepared, well_worn])
def test_killed_at_every_write_a_rerun_reaches_the_same_end(kill: Any, start: Callable[[], Cloud], told: Told) -> None:
    undisturbed = start()
    count = writes(undisturbed)
    assert count >= 7
    for number in range(count):
        cloud = start()
        had = cloud.serving()
        with pytest.raises(Kill):
            deploy(cloud, intent("2"), fault=at(number, kill))
        assert had is None or cloud.serving() is not None, f"clients lost their server at write {number}"
        cloud.now += LEASE + 1
        deploy(cloud, intent("2"))
        assert cloud.state() == undisturbed.state(), f"killed at write {number}"
        # Killed while letting go: there was nothing left to do, and the lock ends by itself.
        assert cloud.holder is None or cloud.holder.expires <= cloud.now
    told(f"killed {kill.__name__} each of {count} writes of a deploy over {start.__name__}: all ended alike")


@pytest.mark.parametrize("kill", [before, after])
def test_killed_at_every_write_a_destroy_leaves_nothing(kill: Any, told: Told) -> None:
    count = writes(prepared())
    for number in range(count):
        cloud = prepared()
        with pytest.raises(Kill):
            deploy(cloud, intent("2"), fault=at(number, kill))
        cloud.now += LEASE + 1
        engine.destroy(FakeWorld(cloud), data=True, run=run(cloud))
        assert {str(key) for key in cloud.things} == {"network shared"}
        assert not cloud.records
        assert cloud.holder is None
    told(f"killed {kill.__name__} each of {count} writes of a deploy, then destroyed: nothing left")


@pytest.mark.parametrize("kill", [before, after])
@pytest.mark.parametrize("to", [None, 1])
def test_a_rollback_that_was_killed_is_finished_and_goes_back_no_further(kill: Any, to: int | None, told: Told) -> None:
    undisturbed = well_worn()
    world = FakeWorld(undisturbed)
    back = engine.rollback(world, to=to, verify=verify(undisturbed), run=run(undisturbed))
    assert back.release.intent.artifact.version == ("3" if to is None else "1")
    for number in range(len(world.writes)):
        cloud = well_worn()
        with pytest.raises(Kill):
            engine.rollback(FakeWorld(cloud, at(number, kill)), to=to, verify=verify(cloud), run=run(cloud))
        cloud.now += LEASE + 1
        engine.rollback(FakeWorld(cloud), to=to, verify=verify(cloud), run=run(cloud))
        # Killed while letting go of the lock, it had ended; what is run then is another rollback.
        ended = kill is after and number == len(world.writes) - 1
        if to is None and ended:
            assert cloud.serving() == "registry/till-1"
        else:
            assert cloud.state() == undisturbed.state(), f"killed at write {number}"
    told(f"killed {kill.__name__} each of {len(world.writes)} writes of a rollback: it went on, and no further")


@pytest.mark.parametrize("kill", [before, after])
def test_a_destroy_that_was_killed_goes_on(kill: Any, told: Told) -> None:
    world = FakeWorld(prepared())
    engine.destroy(world, data=True, run=run(world.cloud))
    for number in range(len(world.writes)):
        cloud = prepared()
        with pytest.raises(Kill):
            engine.destroy(FakeWorld(cloud, at(number, kill)), data=True, run=run(cloud))
        cloud.now += LEASE + 1
        engine.destroy(FakeWorld(cloud), data=True, run=run(cloud))
        assert {str(key) for key in cloud.things} == {"network shared"}
        assert not cloud.records
    told(f"killed {kill.__name__} each of {len(world.writes)} writes of a destroy: it went on")


def test_a_lost_answer_and_a_throttle_at_every_change_are_overcome(told: Told) -> None:
    undisturbed = prepared()
    count = writes(undisturbed)

    def on_changes(number: int, what: Callable[[Callable[[], Any]], Any]) -> Any:
        def fault(counted: int, name: str, write: Callable[[], Any]) -> Any:
            is_change = name.split(maxsplit=1)[0] in {"create", "update", "replace", "delete"}
            return what(write) if counted == number and is_change else write()

        return fault

    for number in range(count):
        for what in (lost, lambda _: throttled()):
            cloud = prepared()
            deploy(cloud, intent("2"), fault=on_changes(number, what))
            assert cloud.state() == undisturbed.state(), f"write {number}"
    told(f"an answer lost and a throttle at each of {count} writes: all ended alike")


def test_what_is_not_yet_visible_is_waited_for(told: Told) -> None:
    undisturbed = prepared()
    names = changes(undisturbed)
    for name in names:
        cloud = prepared()
        tries: list[str] = []

        def fault(_: int, what: str, write: Callable[[], Any], name: str = name, tries: list[str] = tries) -> Any:
            if what == name and len(tries) < 4:
                tries.append(what)
                throttled()
            return write()

        deploy(cloud, intent("2"), fault=fault)
        assert len(tries) == 4
        assert cloud.state() == undisturbed.state(), name
    told(f"not yet visible four times at each of {len(names)} changes: all ended alike")


def test_a_change_that_is_made_late_is_mended_by_a_rerun(told: Told) -> None:
    undisturbed = prepared()
    names = changes(undisturbed)
    for name in names:
        cloud = prepared()
        late: list[Callable[[], Any]] = []

        def fault(
            _: int, what: str, write: Callable[[], Any], name: str = name, late: list[Callable[[], Any]] = late
        ) -> Any:
            if what == name and not late:
                late.append(write)
                throttled()
            return write()

        deploy(cloud, intent("2"), fault=fault)
        assert len(late) == 1
        late[0]()
        deploy(cloud, intent("2"))
        assert cloud.state() == undisturbed.state(), name
    told(f"each of {len(names)} changes made once more after the deploy: a rerun ended alike")


def changes(cloud: Cloud) -> list[str]:
    """The changes to things that a deploy of the second version makes; it is made."""
    world = FakeWorld(cloud)
    engine.deploy(intent("2"), world, verify=verify(cloud), run=run(cloud))
    return [name for name in world.writes if name.split(maxsplit=1)[0] in {"create", "update", "replace", "delete"}]


def test_a_holder_whose_clock_is_behind_stops_when_it_is_overtaken(told: Told) -> None:
    """Its lock looks abandoned to whoever has the right time, at whatever write it is."""
    skew = 3600.0
    count = writes(prepared())
    overtaken = 0
    for number in range(count):
        cloud = prepared()
        theirs: list[str] = []

        def slow(cloud: Cloud = cloud) -> engine.Run:
            clock = engine.Clock(now=lambda: cloud.now - skew, sleep=lambda _: None)
            return engine.Run(who="slow@there", clock=clock, workers=1)

        def fault(
            counted: int,
            _: str,
            write: Callable[[], Any],
            cloud: Cloud = cloud,
            number: int = number,
            theirs: list[str] = theirs,
        ) -> Any:
            answer = write()
            if counted == number:
                deploy(cloud, intent("3"))
                theirs.append("done")
            return answer

        world = FakeWorld(cloud, fault)
        with contextlib.suppress(PackError):
            engine.deploy(intent("2"), world, verify=verify(cloud), run=slow())
        assert theirs == ["done"]
        assert [name for name in world.writes[number + 1 :] if name != "lock"] == []
        assert cloud.serving() == "registry/till-3", f"overtaken at write {number}"
        assert not engine.plan(intent("3"), FakeWorld(cloud)).due
        overtaken += 1
    told(f"a holder an hour behind, overtaken after each of {overtaken} writes: it wrote no more")


def test_a_lock_from_a_clock_ahead_is_waited_for_and_can_be_broken() -> None:
    cloud = prepared()
    cloud.holder = Holder("fast@there", "deploy", "t", cloud.now + 3600, cloud.now + 3660)
    with pytest.raises(PackError, match="fast@there holds the lock"):
        deploy(cloud, intent("2"))
    engine.unlock(FakeWorld(cloud))
    deploy(cloud, intent("2"))
    assert cloud.serving() == "registry/till-2"


def test_a_throttle_that_does_not_end_is_given_up_and_undone() -> None:
    cloud = prepared()

    def fault(_: int, name: str, write: Callable[[], Any]) -> Any:
        return throttled() if name == "create image till-2" else write()

    before_it = cloud.now
    with pytest.raises(engine.Stopped, match="too many requests"):
        deploy(cloud, intent("2"), fault=fault)
    assert cloud.now - before_it >= 0.25 * (1 + 2 + 4 + 8 + 16)
    assert cloud.serving() == "registry/till-1"


def test_a_failure_that_cannot_be_undone_says_so() -> None:
    cloud = prepared()

    def fault(_: int, name: str, write: Callable[[], Any]) -> Any:
        return throttled() if name.split(maxsplit=1)[0] in {"update", "delete"} else write()

    with pytest.raises(engine.Stopped, match="undoing it failed too"):
        deploy(cloud, intent("2"), fault=fault)
    assert cloud.serving() == "registry/till-1"
    deploy(cloud, intent("2"))
    assert cloud.serving() == "registry/till-2"

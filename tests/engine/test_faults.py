"""Killed, throttled, unanswered at every write: every run ends as the undisturbed one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mcp_packager import engine
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


def prepared() -> Cloud:
    cloud = Cloud()
    deploy(cloud, intent("1"))
    return cloud


def writes(cloud: Cloud) -> int:
    world = FakeWorld(cloud)
    engine.deploy(intent("2"), world, verify=verify(cloud), run=run(cloud))
    return len(world.writes)


@pytest.mark.parametrize("kill", [before, after])
@pytest.mark.parametrize("start", [Cloud, prepared])
def test_killed_at_every_write_a_rerun_reaches_the_same_end(kill: Any, start: Callable[[], Cloud]) -> None:
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


@pytest.mark.parametrize("kill", [before, after])
def test_killed_at_every_write_a_destroy_leaves_nothing(kill: Any) -> None:
    for number in range(writes(prepared())):
        cloud = prepared()
        with pytest.raises(Kill):
            deploy(cloud, intent("2"), fault=at(number, kill))
        cloud.now += LEASE + 1
        engine.destroy(FakeWorld(cloud), data=True, run=run(cloud))
        assert {str(key) for key in cloud.things} == {"network shared"}
        assert not cloud.records
        assert cloud.holder is None


@pytest.mark.parametrize("kill", [before, after])
def test_a_destroy_that_was_killed_goes_on(kill: Any) -> None:
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


def test_a_lost_answer_and_a_throttle_at_every_change_are_overcome() -> None:
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

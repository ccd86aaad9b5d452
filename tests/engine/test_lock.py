from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from mcp_packager import engine
from mcp_packager.errors import WorldError
from mcp_packager.target import Holder, LockLostError
from tests.engine.fake import Cloud, FakeWorld, deploy, intent, run

OTHER = Holder("bob@there", "deploy", "t0ken", 999_990.0, 1_000_050.0)


def test_a_held_lock_is_told_with_holder_and_time() -> None:
    cloud = Cloud(holder=OTHER)
    with pytest.raises(WorldError, match=r"bob@there holds the lock for deploy since 1970-01-12T13:46:30Z"):
        deploy(cloud, intent("1"))
    assert not cloud.things
    assert cloud.holder == OTHER


def test_an_expired_lock_is_taken_over() -> None:
    cloud = Cloud(holder=OTHER, now=OTHER.expires + 1)
    deploy(cloud, intent("1"))
    assert cloud.holder is None


def test_waiting_for_a_lock_that_ends() -> None:
    cloud = Cloud(holder=OTHER)
    deploy(cloud, intent("1"), wait=120.0)
    assert cloud.serving() == "registry/till-1"


def test_a_holder_that_lost_its_lock_stops_before_its_next_write() -> None:
    cloud = Cloud()
    stolen_after = 4

    def fault(number: int, _: str, write):  # type: ignore[no-untyped-def]  # passes on what it gets
        answer = write()
        if number == stolen_after:
            cloud.holder = OTHER
        return answer

    world = FakeWorld(cloud, fault)
    with pytest.raises(engine.Stopped, match="the lock was lost"):
        engine.deploy(intent("1"), world, verify=lambda *_: None, run=run(cloud))  # type: ignore[arg-type]  # never reached
    changes = [name for name in world.writes if name != "lock"]
    assert len(changes) == stolen_after
    assert cloud.holder == OTHER


def test_the_lock_is_renewed_while_work_runs() -> None:
    cloud = Cloud()
    seen: list[float] = []

    def fault(_: int, __: str, write):  # type: ignore[no-untyped-def]  # passes on what it gets
        cloud.now += 25
        if cloud.holder is not None:
            seen.append(cloud.holder.expires)
        return write()

    deploy(cloud, intent("1"), fault=fault)
    assert len(set(seen)) > 3
    assert cloud.serving() == "registry/till-1"


def test_unlock_says_whom_it_robs() -> None:
    cloud = Cloud(holder=OTHER)
    assert engine.unlock(FakeWorld(cloud)) == OTHER
    assert engine.unlock(FakeWorld(cloud)) is None


def test_a_lock_held_by_another_is_not_let_go() -> None:
    cloud = Cloud()
    with engine.hold(FakeWorld(cloud).lock, run(cloud), "deploy") as guard:
        assert cloud.holder is not None
        cloud.holder = replace(cloud.holder, token="another")
        with pytest.raises(LockLostError):
            guard.check()
    assert cloud.holder is not None


def test_two_deployers_at_once_one_gets_through() -> None:
    cloud = Cloud()
    outcomes: list[str] = []

    def one(version: str) -> None:
        try:
            deploy(cloud, intent(version), wait=0.0)
            outcomes.append("deployed")
        except WorldError as error:
            outcomes.append("held" if "holds the lock" in str(error) else str(error))

    threads = [threading.Thread(target=one, args=(version,)) for version in "12"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {"deployed", "held"}
    assert "deployed" in outcomes
    assert cloud.holder is None

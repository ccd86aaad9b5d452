"""Every replica is stopped by SIGTERM and replaced, one after the other, while callers of both eras call: none fails.

The part of an endpoint controller is the test's: once a replica says that it is not ready, nginx is told to send it
nothing new, within `drain_delay`. nginx gives no lost request to another replica (`proxy_next_upstream off`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.replicas.fleet import Fleet, call, eventually, fleet, secret
from tests.replicas.listening import Listener
from tests.replicas.load import ASKING, TOOLS, Load
from tests.serve.process import LEGACY, MODERN, make_bundle

pytestmark = [pytest.mark.real("nginx"), pytest.mark.xdist_group("replicas-rolling"), pytest.mark.timeout(300)]

CALLS = 2_000
"""Of each era, at least."""

DRAIN = {"drain_delay": 1.0, "drain": 20.0}

OLD_KEY, NEW_KEY = ("key-" + letter * 44 for letter in "on")
OLD_STATE, NEW_STATE = ("state-" + letter * 44 for letter in "on")


def roll(running: Fleet, config: Mapping[str, Any] | None = None) -> float:
    """Replace every replica, one after the other; with another config, if one is given.

    Returns the longest time, in seconds, that it took nginx to send nothing more to one that leaves: all is lost where
    that is more than the delay.
    """
    slowest = 0.0
    for place, leaving in enumerate(list(running.replicas)):
        coming = leaving.successor(config or leaving.config)
        told = time.monotonic()
        leaving.terminate()
        try:
            assert eventually(lambda: not leaving.is_ready())  # noqa: B023 - asked before the next turn
            running.front.serve(running.replicas, down=[leaving])
            slowest = max(slowest, time.monotonic() - told)
            coming.start()
            assert leaving.exit_code() == 0
            coming.wait()
        finally:
            leaving.kill()
            running.replicas[place] = coming
        running.front.serve(running.replicas)
    return slowest


def test_no_call_is_lost_while_every_replica_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = make_bundle(tmp_path / "bundle", TOOLS)
    with fleet(tmp_path, bundle, 3, DRAIN, redis=False) as running, Load(running.front) as load:
        with contextlib.ExitStack() as stack:
            listeners = [stack.enter_context(Listener(running.front)) for _ in range(3)]
            assert load.reaches(50)
            slowest = roll(running)
            # Each stream got the message that ends it.
            assert eventually(lambda: [listener.heard["end"] for listener in listeners] == [1] * 3)
        assert load.reaches(CALLS)
    with capsys.disabled():
        print(f"\nrolling over three replicas: {dict(load.done)} calls, {len(load.failed)} failed")
        print(f"nginx took at most {slowest:.2f} s of {DRAIN['drain_delay']} s to let go of a replica")
    assert load.failed == []


def test_keys_change_under_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bearer and state keys: the new ones are let in, then used, then the only ones."""
    bundle = make_bundle(tmp_path / "bundle", TOOLS)
    keys = {name: secret(tmp_path, f"key-{name}", text) for name, text in (("old", OLD_KEY), ("new", NEW_KEY))}
    states = {name: secret(tmp_path, f"state-{name}", text) for name, text in (("old", OLD_STATE), ("new", NEW_STATE))}

    def serve(*names: str) -> dict[str, Any]:
        auth = {"mode": "bearer", "keys": [keys[name] for name in names]}
        return {**DRAIN, "auth": auth, "state_keys": [states[name] for name in names]}

    with (
        fleet(tmp_path, bundle, 2, serve("old"), redis=False) as running,
        Load(running.front, threads=4, key=OLD_KEY) as load,
    ):
        assert load.reaches(20)
        held = question(running, OLD_KEY)
        roll(running, {"serve": serve("old", "new")})
        load.key = NEW_KEY
        roll(running, {"serve": serve("new", "old")})
        # Asked under the old key before any of this, and still answered.
        assert "result" in answer(running, OLD_KEY, held)
        assert load.goes_on()  # what began with the old key is over
        roll(running, {"serve": serve("new")})
        assert load.goes_on()
        with capsys.disabled():
            print(f"\nchanging keys: {dict(load.done)} calls, {len(load.failed)} failed")
        assert running.front.status(LEGACY, "ping", {}, authorization=f"Bearer {OLD_KEY}") == 401
        assert "error" in answer(running, NEW_KEY, held)
    assert load.failed == []


def question(running: Fleet, key: str) -> dict[str, Any]:
    asked, _ = running.front.ask(MODERN, "tools/call", call(ASKING, number=1), bearer(key), elicitation={})
    result: dict[str, Any] = asked["result"]
    return result


def answer(running: Fleet, key: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    (name,) = asked["inputRequests"]
    answers = {name: {"action": "accept", "content": {"name": "ada"}}}
    params = {**call(ASKING, number=1), "inputResponses": answers, "requestState": asked["requestState"]}
    return running.front.ask(MODERN, "tools/call", params, bearer(key), elicitation={})[0]


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}

"""What one replica announces reaches every listener on every replica, once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.replicas.fleet import Endpoint, Fleet, Replica, call, eventually, fleet
from tests.replicas.listening import PROMPTS, TOOLS, Listener
from tests.serve.process import MODERN

pytestmark = [pytest.mark.real("nginx", "redis"), pytest.mark.xdist_group("replicas")]


def announce(where: Endpoint, kind: str) -> str:
    """Have a tool say that a list changed; which replica it ran on."""
    name = {TOOLS: "test_trigger_tool_change", PROMPTS: "test_trigger_prompt_change"}[kind]
    answer, headers = where.ask(MODERN, "tools/call", call(name))
    assert answer["result"]["isError"] is False
    return headers.get("x-upstream", "")


@contextlib.contextmanager
def listening(*places: Endpoint) -> Iterator[list[Listener]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Listener(place)) for place in places]


def all_hear(listeners: list[Listener], kind: str, times: int) -> bool:
    return eventually(lambda: all(listener.heard[kind] >= times for listener in listeners))


def test_every_listener_hears_every_change_once(three: Fleet) -> None:
    with listening(*[three.front] * 6) as listeners:
        assert len({listener.replica for listener in listeners}) == 3
        assert len({announce(three.front, TOOLS) for _ in range(6)}) == 3
        assert all_hear(listeners, TOOLS, 6)
        # What a replica says comes in its order: nothing of what it said before comes after this.
        for replica in three.replicas:
            announce(replica, PROMPTS)
        assert all_hear(listeners, PROMPTS, 3)
        assert [listener.heard[TOOLS] for listener in listeners] == [6] * 6


def test_nothing_is_lost_or_heard_twice_when_the_connection_breaks(three: Fleet) -> None:
    """Redis drops every connection between two changes; readers go on where they were."""
    assert three.redis is not None
    with listening(*three.replicas) as listeners:
        for _ in range(5):
            announce(three.front, TOOLS)
            three.redis.drop_connections()
        assert all_hear(listeners, TOOLS, 5)
        for replica in three.replicas:
            announce(replica, PROMPTS)
        assert all_hear(listeners, PROMPTS, 3)
        assert [listener.heard[TOOLS] for listener in listeners] == [5] * 3


def test_what_is_written_twice_is_heard_once_and_what_nobody_understands_is_passed_over(three: Fleet) -> None:
    """A replica that lost the answer to what it wrote writes it again; another release may write what this one does
    not know."""
    assert three.redis is not None
    with listening(*three.replicas) as listeners, redis.Redis.from_url(three.redis.url) as client:
        announce(three.replicas[0], TOOLS)
        assert all_hear(listeners, TOOLS, 1)
        (stream,) = client.keys("mcp-tool:events:*")
        ((_, written),) = client.xrevrange(stream, count=1)
        client.xadd(stream, written)
        client.xadd(stream, {"from": "somebody", "count": "1", "event": "{"})
        client.xadd(
            stream, {"from": "somebody", "count": "x", "event": '{"method": "notifications/tools/list_changed"}'}
        )
        client.xadd(stream, {"from": "somebody", "count": "2", "event": '{"method": "notifications/of/tomorrow"}'})
        client.xadd(stream, {"another": "shape"})
        for replica in three.replicas:
            announce(replica, PROMPTS)
        assert all_hear(listeners, PROMPTS, 3)
        assert [listener.heard[TOOLS] for listener in listeners] == [1] * 3
        # A tool that was removed leaves nothing behind for ever.
        assert 0 < client.ttl(stream) <= 3600


def warnings(replica: Replica) -> list[str]:
    return [line["msg"] for line in replica.lines() if "Redis" in line["msg"] and line["level"] == "warning"]


def test_a_redis_that_is_away_stops_nobody(bundle: Path, tmp_path: Path) -> None:
    with fleet(tmp_path, bundle, 2) as pair:
        first, second = pair.replicas
        assert pair.redis is not None
        pair.redis.kill()
        assert eventually(lambda: bool(warnings(first)) and bool(warnings(second)))
        with listening(first, second) as (near, far):
            announce(first, TOOLS)
            assert all_hear([near], TOOLS, 1)
            # A replica that starts meanwhile serves, and says what is missing.
            third = Replica(0, tmp_path / "third", bundle, first.config)
            third.start()
            try:
                third.wait()
                assert eventually(lambda: bool(warnings(third)))
                assert far.heard[TOOLS] == 0
                pair.redis.start()
                # What was said meanwhile is told when it is back.
                assert all_hear([far], TOOLS, 1)
                with listening(third) as (late,):
                    announce(first, PROMPTS)
                    assert all_hear([near, far, late], PROMPTS, 1)
                assert (near.heard[TOOLS], far.heard[TOOLS]) == (1, 1)
            finally:
                third.kill()
        for replica in (first, second):
            assert len(warnings(replica)) == 1
            assert pair.redis.password not in replica.log.read_text(encoding="utf-8")


def test_an_end_waits_for_no_redis(bundle: Path, tmp_path: Path) -> None:
    """The Redis hangs, as one does behind a network that swallows packets: the server stops all the same."""
    with fleet(tmp_path, bundle, 1) as alone:
        (replica,) = alone.replicas
        assert alone.redis is not None
        assert alone.redis.process is not None
        os.kill(alone.redis.process.pid, signal.SIGSTOP)
        announce(replica, TOOLS)
        replica.terminate()
        assert replica.exit_code() == 0

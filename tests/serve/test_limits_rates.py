"""How often each caller may call, in this process and across replicas."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mcp_tool import config
from mcp_tool.config import Rate
from mcp_tool.principal import ANONYMOUS, Principal
from mcp_tool.serve.http import limits
from mcp_tool.serve.http.gates import Refusal
from mcp_tool.serve.http.limits import Buckets
from mcp_tool.serve.problem import StartProblem
from tests import real_parts
from tests.serve.process import JSON, HttpServer, http_server, make_bundle
from tests.serve.test_http import SOURCE, eventually

PING = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("rates") / "bundle", SOURCE)


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def headers(refusal: Refusal | None) -> dict[str, str]:
    assert refusal is not None
    assert (refusal.status, refusal.reason) == (429, "rate")
    return {name.decode(): value.decode() for name, value in refusal.headers}


class TestBuckets:
    """In one process."""

    def test_a_burst_then_as_fast_as_the_rate(self) -> None:
        clock = Clock()
        buckets = Buckets(Rate(calls=60, per=60.0, burst=3), clock)
        assert [buckets.count("one") is None for _ in range(5)] == [True, True, True, False, False]
        clock.now += 1
        assert [buckets.count("one") is None for _ in range(2)] == [True, False]
        clock.now += 3600
        assert [buckets.count("one") is None for _ in range(4)] == [True, True, True, False]

    def test_callers_are_counted_apart_and_the_deploys_own_look_is_not(self) -> None:
        buckets = Buckets(Rate(calls=1))
        bearer = [Principal("bearer", name) for name in ("a", "b")]
        callers = [(ANONYMOUS, "10.0.0.1"), (ANONYMOUS, "10.0.0.2"), *((who, "10.0.0.1") for who in bearer)]
        for _ in range(2):
            answers = [asyncio.run(buckets(*caller)) for caller in callers]
            refused = [answer is not None for answer in answers]
            assert refused in ([False] * 4, [True] * 4)
        assert refused == [True] * 4
        assert [asyncio.run(buckets(Principal("probe"), "10.0.0.1")) for _ in range(5)] == [None] * 5

    def test_a_subscribers_addresses_are_one(self) -> None:
        buckets = Buckets(Rate(calls=1))
        addresses = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::1", "::ffff:192.0.2.1", "192.0.2.1", "not an address", ""]
        refused = [asyncio.run(buckets(ANONYMOUS, address)) is not None for address in addresses]
        assert refused == [False, True, False, True, False, False]

    def test_the_refusal_says_when_to_come_back(self) -> None:
        clock = Clock()
        buckets = Buckets(Rate(calls=2, per=30.0), clock)
        for _ in range(2):
            assert buckets.count("one") is None
        found = headers(buckets.count("one"))
        assert found == {"retry-after": "15", "ratelimit-policy": '"caller";q=2;w=30', "ratelimit": '"caller";r=0;t=15'}
        clock.now += 15
        assert buckets.count("one") is None

    def test_memory_is_bounded_and_the_busy_are_remembered(self) -> None:
        buckets = Buckets(Rate(calls=1, per=3600), callers=100)
        for number in range(1000):
            buckets.count(f"stranger {number}")
            buckets.count("regular")
        assert len(buckets) == 100
        assert buckets.count("regular") is not None


class TestShared:
    """Across replicas."""

    @pytest.fixture
    def redis(self, tmp_path: Path) -> Iterator[Redis]:
        with contextlib.closing(Redis(tmp_path)) as running:
            running.start()
            yield running

    @pytest.mark.real("redis")
    def test_replicas_count_together_to_the_call(self, bundle: Path, redis: Redis, tmp_path: Path) -> None:
        settings = {"rate": {"calls": 20, "per": 3600, "shared": True}, "events": {"env": "EVENTS"}}
        env = {"EVENTS": redis.url}
        other = make_bundle(tmp_path / "other", SOURCE)
        with http_server(bundle, {"serve": settings}, env) as one, http_server(other, {"serve": settings}, env) as two:
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda number: status(one if number % 2 else two), range(60)))
            assert (answers.count(200), answers.count(429)) == (20, 40)
            assert "127.0.0.1" not in redis.say("KEYS", "*")

    @pytest.mark.real("redis")
    def test_without_redis_each_counts_for_itself_and_says_so_once(self, bundle: Path, redis: Redis) -> None:
        settings = {"rate": {"calls": 5, "per": 3600, "shared": True}, "events": {"url": redis.url}}
        with http_server(bundle, {"serve": settings}) as server:
            assert [status(server) for _ in range(3)] == [200] * 3
            redis.close()
            answers = [status(server) for _ in range(10)]
            assert (answers.count(200), answers.count(429)) == (5, 5)
            told = [line["msg"] for line in server.lines() if "Redis does not answer" in line["msg"]]
            assert len(told) == 1
            assert redis.url not in server.log.read_text()

    @pytest.mark.parametrize("events", [{"env": "NOWHERE"}, {"url": "http://somewhere:hunter2@else/"}])
    def test_an_address_that_is_none_is_told_at_the_start(self, events: dict[str, str]) -> None:
        settings = {"rate": {"calls": 5, "shared": True}, "events": events}
        with pytest.raises(StartProblem) as told:
            limits.limiter(config.parse({"serve": settings}), "name")
        assert "hunter2" not in str(told.value)


class Redis:
    """A server of its own, without persistence."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        line = [str(real_parts.redis()), "--port", str(self.port), "--save", "", "--dir", str(self._folder)]
        with (self._folder / "redis.log").open("wb") as log:
            self._process = subprocess.Popen([*line, "--bind", "127.0.0.1"], stdout=log)
        assert eventually(self._answers)

    def say(self, *words: str) -> str:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(" ".join(words).encode() + b"\r\n")
            return connection.recv(65536).decode()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        try:
            return "PONG" in self.say("PING")
        except OSError:
            return False


def status(server: HttpServer) -> int:
    return server.request("POST", "/mcp", PING, JSON)[0]

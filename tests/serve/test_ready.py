"""Whether a server wants requests now: what `/readyz` looks at."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from mcp_tool.serve.http import ready as readiness
from mcp_tool.serve.http.ready import Readiness
from tests.serve.test_shell import bench


class TestReadiness:
    """Dependencies, looked at when asked."""

    def test_the_names_of_what_is_away_and_no_addresses(self) -> None:
        async def story() -> None:
            taken = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
            there = taken.sockets[0].getsockname()[1]
            with socket.socket() as closed:
                closed.bind(("127.0.0.1", 0))
                away = closed.getsockname()[1]
                places = {"database": f"127.0.0.1:{there}", "queue": f"127.0.0.1:{away}", "odd": "nowhere"}
                made = bench(readiness=Readiness(places))
                answer = await made.ask("/readyz", method="GET")
            assert answer.status == 503
            assert json.loads(answer.body) == {"status": "not ready", "reasons": ["queue", "odd"]}
            assert (await made.ask("/healthz", method="GET")).status == 200
            taken.close()

        asyncio.run(story())

    def test_one_look_for_all_who_ask_within_two_seconds(self) -> None:
        async def story() -> None:
            looks, now = [0], [100.0]

            def count(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                looks[0] += 1
                writer.close()

            taken = await asyncio.start_server(count, "127.0.0.1", 0)
            place = f"127.0.0.1:{taken.sockets[0].getsockname()[1]}"
            ready = Readiness({"database": place}, clock=lambda: now[0])
            assert await asyncio.gather(*(ready.reasons() for _ in range(10))) == [()] * 10
            await ready.reasons()
            assert looks == [1]
            taken.close()
            await taken.wait_closed()
            now[0] += readiness.FRESH
            assert await ready.reasons() == ("database",)

        asyncio.run(story())

    def test_a_dependency_that_does_not_answer_takes_a_bounded_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(readiness, "REACH", 0.02)

        async def never(*_: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(asyncio, "open_connection", never)
        assert asyncio.run(Readiness({"database": "db:5432"}).reasons()) == ("database",)

    def test_lost_threads_make_it_unready(self) -> None:
        assert asyncio.run(Readiness({}, lambda: True).reasons()) == ("threads",)

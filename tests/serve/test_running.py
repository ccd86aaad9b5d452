"""Whatever the author's function does, its caller gets an answer and no other call is harmed."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from mcp_tool.running import CrashError, Runner, TimeLimitError

SOON = 0.05
"""Seconds after which a function is too late in these tests; none of them waits for it to pass."""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of something that no event tells of
            await asyncio.sleep(0.005)


def _refuse(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


class TestThreads:
    """Of one runner."""

    @pytest.fixture
    def gate(self) -> Iterator[threading.Event]:
        event = threading.Event()
        yield event
        event.set()

    def test_a_function_that_hangs_is_told_of_counted_and_counted_back(self, gate: threading.Event) -> None:
        async def story() -> None:
            runner = Runner(threads=4, limit=SOON)
            with pytest.raises(TimeLimitError, match=r"timed out after 0\.05 s"):
                await runner(gate.wait, {})
            await until(lambda: runner.lost == 1)
            assert not runner.worn
            gate.set()
            await until(lambda: runner.lost == 0)
            assert await runner(lambda: "again", {}) == "again"

        asyncio.run(story())

    def test_lost_threads_are_replaced_up_to_a_share_and_then_the_process_is_worn(self, gate: threading.Event) -> None:
        async def story() -> None:
            runner = Runner(threads=2, limit=5)
            with pytest.raises(TimeLimitError):
                await runner(gate.wait, {}, SOON)
            await until(lambda: runner.lost == 1)
            assert not runner.worn
            meet = threading.Barrier(2, timeout=10)  # two at once, so both places are there
            assert sorted(await asyncio.gather(*(runner(meet.wait, {}) for _ in range(2)))) == [0, 1]
            with pytest.raises(TimeLimitError):
                await runner(gate.wait, {}, SOON)
            await until(lambda: runner.worn)
            gate.set()
            await until(lambda: not runner.worn)

        asyncio.run(story())

    def test_a_caller_that_leaves_early_loses_nothing_unless_the_function_stays(self, gate: threading.Event) -> None:
        async def story() -> None:
            runner, began = Runner(threads=2, limit=60), threading.Event()

            def work() -> None:
                began.set()
                gate.wait()

            call = asyncio.create_task(runner(work, {}))
            await until(began.is_set)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert runner.lost == 0
            assert await runner(lambda: 1, {}) == 1
            gate.set()

        asyncio.run(story())

    def test_what_nobody_waits_for_any_more_is_not_begun(self, gate: threading.Event) -> None:
        async def story() -> None:
            runner, begun = Runner(threads=1), threading.Event()
            first = asyncio.create_task(runner(gate.wait, {}))
            second = asyncio.create_task(runner(begun.set, {}))
            await asyncio.sleep(0)
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)
            gate.set()
            await first
            await runner(lambda: None, {})
            assert not begun.is_set()
            runner.close()

        asyncio.run(story())

    def test_more_than_there_are_threads_wait_their_turn(self) -> None:
        async def story() -> list[int]:
            runner, most, now, lock = Runner(threads=3), [0], [0], threading.Lock()

            def work(number: int) -> int:
                with lock:
                    now[0] += 1
                    most[0] = max(most[0], now[0])
                time.sleep(0.002)
                with lock:
                    now[0] -= 1
                return number

            assert await asyncio.gather(*(runner(work, {"number": n}) for n in range(50))) == list(range(50))
            return most

        assert asyncio.run(story()) == [3]

    def test_where_no_more_threads_can_be_made_the_others_do_the_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def story() -> None:
            runner = Runner(threads=5)
            await runner(lambda: None, {})
            monkeypatch.setattr(threading.Thread, "start", _refuse)
            works = [lambda number=number: number for number in range(10)]
            assert await asyncio.gather(*(runner(work, {}) for work in works)) == list(range(10))
            with pytest.raises(RuntimeError, match="can't start"):
                await Runner()(lambda: None, {})
            runner.close()

        asyncio.run(story())

    def test_no_thread_stays_behind(self) -> None:
        before = set(threading.enumerate())

        def mine() -> list[threading.Thread]:
            return [thread for thread in threading.enumerate() if thread not in before and thread.name == "tool"]

        async def story() -> None:
            runner, meet = Runner(threads=5), threading.Barrier(5, timeout=10)
            await asyncio.gather(*(runner(meet.wait, {}) for _ in range(5)))
            assert [thread.daemon for thread in mine()] == [True] * 5
            runner.close()
            await until(lambda: not mine())
            assert await runner(lambda: "still", {}) == "still"
            runner.close()
            await until(lambda: not mine())

        asyncio.run(story())

    def test_context_goes_in_and_results_come_out(self) -> None:
        here = contextvars.ContextVar("here", default="")

        async def story() -> None:
            here.set("mine")
            runner = Runner()
            assert await runner(here.get, {}) == "mine"

            async def later() -> str:
                return here.get()

            assert await runner(lambda: later(), {}) == "mine"  # noqa: PLW0108 - a plain function that returns a coroutine
            with pytest.raises(ZeroDivisionError):
                await runner(lambda: 1 / 0, {})
            runner.close()

        asyncio.run(story())

    @pytest.mark.parametrize("kind", ["plain", "async"])
    @pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), StopIteration()])
    def test_what_would_end_the_loop_or_look_like_its_word_is_a_crash(self, kind: str, raised: BaseException) -> None:
        def plain() -> None:
            raise raised

        async def asynchronous() -> None:
            raise raised

        async def story() -> None:
            runner = Runner()
            try:
                await runner(plain if kind == "plain" else asynchronous, {})
            finally:
                runner.close()

        expected = RuntimeError if kind == "async" and isinstance(raised, StopIteration) else CrashError
        with pytest.raises(expected):
            asyncio.run(story())


class TestLoop:
    """Of async functions."""

    def test_one_that_catches_its_own_end_does_not_hold_its_caller(self) -> None:
        async def story() -> None:
            runner, ends, released = Runner(limit=SOON), [0], asyncio.Event()

            async def stubborn() -> None:
                while not released.is_set():
                    try:
                        await released.wait()
                    except asyncio.CancelledError:
                        ends[0] += 1

            with pytest.raises(TimeLimitError, match=r"timed out after 0\.05 s"):
                await runner(stubborn, {})
            await until(lambda: ends == [1])
            released.set()

        asyncio.run(story())

    @pytest.mark.parametrize("why", ["late", "left"])
    def test_one_that_is_ended_runs_its_clean_up(self, why: str) -> None:
        async def story() -> None:
            runner, steps = Runner(limit=SOON if why == "late" else 60), list[str]()

            async def tidy() -> None:
                try:
                    steps.append("began")
                    await asyncio.Event().wait()
                finally:
                    await asyncio.sleep(0)
                    steps.append("tidied")

            call = asyncio.create_task(runner(tidy, {}))
            await until(lambda: steps == ["began"])
            if why == "left":
                call.cancel()
            with pytest.raises(TimeLimitError if why == "late" else asyncio.CancelledError):
                await call
            await until(lambda: steps == ["began", "tidied"])

        asyncio.run(story())

    def test_what_a_plain_function_hands_back_has_the_limit_too(self) -> None:
        async def story() -> None:
            runner = Runner(limit=SOON)

            async def forever() -> None:
                await asyncio.Event().wait()

            with pytest.raises(TimeLimitError):
                await runner(lambda: forever(), {})  # noqa: PLW0108 - a plain function that returns a coroutine
            runner.close()

        asyncio.run(story())

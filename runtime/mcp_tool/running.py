"""Running the author's functions: plain ones in threads, async ones on the loop; nothing they do ends the server.

Every run has a time limit. A coroutine past its limit is cancelled; a thread cannot be. Its caller is told all the
same, and the thread counts as lost from then on: another takes its place, until too many are lost and the process is
`worn`. A lost thread whose function does come back is counted back.
"""

import asyncio
import contextlib
import contextvars
import functools
import inspect
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from mcp_tool.errors import ToolError
from mcp_tool.record import CURRENT

logger = logging.getLogger("mcp_tool.call")

THREADS = 40
"""Plain functions that run at the same time; more wait."""

LOSABLE = 0.5
"""The share of its threads that a process may lose and go on."""

Outcome = tuple[Any, BaseException | None]


class CrashError(Exception):
    """The author's code raised something it did not announce, which is the `__cause__`."""


class TimeLimitError(ToolError):
    """The call took longer than the tool's `timeout`."""


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling a function gives something to await."""
    try:
        return _is_async(function)
    except TypeError:  # an object that has no hash
        return _is_async.__wrapped__(function)


@functools.lru_cache(4096)
def _is_async(function: Callable[..., Any]) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - asks whether it is async, not whether it is callable


class Runner:
    """Runs functions, plain ones in daemon threads that are made when first needed.

    Args:
        threads: Plain functions that run at the same time.
        limit: Seconds that one function may take at most.
    """

    def __init__(self, threads: int = THREADS, limit: float = math.inf) -> None:
        self.threads = threads
        self._limit = limit
        self._losable = int(threads * LOSABLE)
        self._lost = 0
        self._alive = 0
        self._closed = False
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._waiting: deque[_Job] = deque()
        self._left: set[asyncio.Task[Any]] = set()

    @property
    def lost(self) -> int:
        """Threads in functions that did not come back in time, and whose callers no longer wait."""
        return self._lost

    @property
    def worn(self) -> bool:
        """Whether more threads are lost than are replaced: the process should be."""
        return self._lost > self._losable

    async def __call__(self, function: Callable[..., Any], values: Mapping[str, Any], limit: float = math.inf) -> Any:
        """Call a function with keyword arguments.

        Args:
            function: Plain or async.
            values: Its arguments.
            limit: Seconds it may take, where that is less than the runner's own limit.

        Raises:
            TimeLimitError: It took longer.
            CrashError: The function tried to end the process.
            Exception: Whatever else it raised.
        """
        limit = min(limit, self._limit)
        if is_async(function):
            return await self._on_loop(function(**values), limit)
        returned, raised = await self._in_thread(function, values, limit)
        if raised is None:
            # A plain function may still hand back a coroutine, as a wrapped one does.
            return await self._on_loop(returned, limit) if inspect.isawaitable(returned) else returned
        if isinstance(raised, Exception) and not isinstance(raised, StopIteration | StopAsyncIteration):
            raise raised
        raise CrashError from raised

    async def _on_loop(self, awaitable: Awaitable[Any], limit: float) -> Any:
        if limit == math.inf:
            return await _awaited(awaitable)
        # A task of its own, which can be left behind: whoever catches everything in a loop catches its end as well.
        loop = asyncio.get_running_loop()
        task, over = loop.create_task(_awaited(awaitable)), loop.create_future()
        timer = loop.call_later(limit, _release, over)
        task.add_done_callback(functools.partial(_release, over))
        try:
            await over
        finally:
            timer.cancel()
            if not task.done():
                self._left.add(task)
                task.add_done_callback(self._forget)
                task.cancel()
        if not task.done():
            raise _late(limit)
        if task.cancelled():
            raise CrashError
        return task.result()

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()  # nobody waits for it any more, so nobody is told that nobody did

    async def _in_thread(self, function: Callable[..., Any], values: Mapping[str, Any], limit: float) -> Outcome:
        loop = asyncio.get_running_loop()
        job = _Job(contextvars.copy_context(), function, values, limit, loop, loop.create_future())
        self._submit(job)
        timer = None if limit == math.inf else loop.call_later(limit, self._expire, job)
        try:
            return await job.future
        except asyncio.CancelledError:
            self._abandon(job)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _expire(self, job: "_Job") -> None:
        if not job.future.done():
            self._abandon(job)
            job.future.set_exception(_late(job.limit))

    def close(self) -> None:
        """Let go of the threads; those that still run are not waited for."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            idle, self._idle = self._idle, []
            self._alive -= len(idle)
        for worker in idle:
            worker.wake.release()

    def _submit(self, job: "_Job") -> None:
        with self._lock:
            self._closed = False
            if self._idle:
                worker = self._idle.pop()
                worker.job = job
                worker.wake.release()
            elif self._alive < self._most():
                self._add(job)
            else:
                self._waiting.append(job)

    def _most(self) -> int:
        return self.threads + min(self._lost, self._losable)

    def _add(self, job: "_Job") -> None:
        thread = threading.Thread(target=self._work, args=(_Worker(job),), name="tool", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system allows no more of them
            if self._alive <= self._lost:
                raise
            self._waiting.append(job)
        else:
            self._alive += 1

    def _work(self, worker: "_Worker") -> None:
        pid = os.getpid()
        while (job := worker.job) is not None:
            outcome = _performed(job, pid)
            waits = self._next(worker, job)
            # Only now: whoever is told may submit again at once, and should find this worker idle.
            if not job.abandoned:
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    job.loop.call_soon_threadsafe(_settle, job.future, outcome)
            del job, outcome  # an idle thread keeps nothing of its last call
            if waits:
                worker.wake.acquire()

    def _next(self, worker: "_Worker", done: "_Job") -> bool:
        """Give the worker what it does next; False where it need not wait for it."""
        with self._lock:
            done.over = True
            self._lost -= done.lost
            if self._waiting:
                worker.job = self._waiting.popleft()
                return False
            worker.job = None
            if self._closed or self._alive > self._most():
                self._alive -= 1
                return False
            self._idle.append(worker)
            return True

    def _abandon(self, job: "_Job") -> None:
        """Nobody waits for it any more; its thread is lost if it does not come back within its limit."""
        job.abandoned = True
        if job.over or job.started is None:
            return
        left = job.started + job.limit - time.monotonic()
        if left <= 0:
            self._lose(job)
        elif left != math.inf:
            job.loop.call_later(left, self._lose, job)

    def _lose(self, job: "_Job") -> None:
        with self._lock:
            if job.over or job.lost:
                return
            job.lost = True
            self._lost += 1
            lost = self._lost
            if self._waiting and self._alive < self._most():
                self._add(self._waiting.popleft())
        name = getattr(job.function, "__qualname__", type(job.function).__name__)
        logger.warning("%s does not come back: its thread is lost, as %d of %d are now", name, lost, self.threads)


@dataclass(slots=True, eq=False)
class _Job:
    """One run in a thread."""

    context: contextvars.Context
    function: Callable[..., Any]
    values: Mapping[str, Any]
    limit: float
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Outcome]"
    started: float | None = None
    over: bool = False
    abandoned: bool = False
    lost: bool = False


class _Worker:
    """A thread's hand-over: a job, and what wakes it."""

    __slots__ = ("job", "wake")

    def __init__(self, job: _Job) -> None:
        self.job: _Job | None = job
        self.wake = threading.Lock()
        self.wake.acquire()


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    """The result; what would end the event loop, or look like the end of its task, as a `CrashError`."""
    pid, record = os.getpid(), CURRENT.get()  # noqa: F841 - where the watchdog finds it, in another thread
    try:
        returned, raised = await awaitable, None
    except BaseException as error:  # noqa: BLE001 - sorted out below
        returned, raised = None, error
    if os.getpid() != pid:
        _end_child(raised)
    match raised:
        case None:
            return returned
        case SystemExit() | KeyboardInterrupt():
            raise CrashError from raised
        case asyncio.CancelledError() if (task := asyncio.current_task()) is not None and not task.cancelling():
            raise CrashError from raised  # its own: nobody asked this task to stop
        case _:
            raise raised


def _late(limit: float) -> TimeLimitError:
    return TimeLimitError(f"timed out after {limit:g} s")


def _release(future: "asyncio.Future[None]", _: object = None) -> None:
    if not future.done():
        future.set_result(None)


def _caught(function: Callable[..., Any], values: Mapping[str, Any]) -> Outcome:
    """As a value: a SystemExit raised into the event loop would end it, a StopIteration would hang the caller."""
    try:
        return function(**values), None
    except BaseException as error:  # noqa: BLE001 - see above
        return None, error


def _performed(job: _Job, pid: int) -> Outcome:
    """Run a job, unless it is too late for it."""
    # In this order, as the loop's thread writes and reads the two in the other: one of them sees what the other did.
    job.started = time.monotonic()
    if job.abandoned:
        return None, None
    outcome = job.context.run(_caught, job.function, job.values)
    if os.getpid() != pid:
        _end_child(outcome[1])
    return outcome


def _settle(future: "asyncio.Future[Outcome]", outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)


def _end_child(raised: BaseException | None) -> NoReturn:
    """End a process that the author's function forked and let go on: it must not become a second server."""
    code = raised.code if isinstance(raised, SystemExit) else int(raised is not None)
    os._exit(code if isinstance(code, int) else int(code is not None))

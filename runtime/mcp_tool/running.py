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
        if limit == math.inf:
            return await self._unlimited(function, values, limit)
        watch = asyncio.timeout(limit)
        try:
            async with watch:
                return await self._unlimited(function, values, limit)
        except TimeoutError:
            if not watch.expired():
                raise
            msg = f"timed out after {limit:g} s"
            raise TimeLimitError(msg) from None

    async def _unlimited(self, function: Callable[..., Any], values: Mapping[str, Any], limit: float) -> Any:
        if is_async(function):
            return await _awaited(function(**values))
        loop = asyncio.get_running_loop()
        job = _Job(contextvars.copy_context(), function, values, limit, loop, loop.create_future())
        self._submit(job)
        try:
            returned, raised = await job.future
        except asyncio.CancelledError:
            self._abandon(job)
            raise
        if raised is None:
            # A plain function may still hand back a coroutine, as a wrapped one does.
            return await _awaited(returned) if inspect.isawaitable(returned) else returned
        if isinstance(raised, Exception) and not isinstance(raised, StopIteration | StopAsyncIteration):
            raise raised
        raise CrashError from raised

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
        worker = _Worker(job)
        threading.Thread(target=self._work, args=(worker,), name="tool", daemon=True).start()
        self._alive += 1

    def _work(self, worker: "_Worker") -> None:
        pid = os.getpid()
        job = worker.job
        while job is not None:
            if self._begin(job):
                outcome = job.context.run(_caught, job.function, job.values)
                if os.getpid() != pid:
                    _end_child(outcome[1])  # before the lock, which another thread of the parent may have held
                self._end(job, outcome)
                del outcome
            job = worker.job = self._next(worker)
            if job is None:
                worker.wake.acquire()
                job = worker.job

    def _begin(self, job: "_Job") -> bool:
        with self._lock:
            if job.abandoned:
                return False
            job.started = time.monotonic()
            return True

    def _end(self, job: "_Job", outcome: Outcome) -> None:
        with self._lock:
            job.over = True
            self._lost -= job.lost
            if job.abandoned:
                return
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            job.loop.call_soon_threadsafe(_settle, job.future, outcome)

    def _next(self, worker: "_Worker") -> "_Job | None":
        """What the worker does next; None where it is to wait, or to end."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            if self._closed or self._alive > self._most():
                self._alive -= 1
                worker.wake.release()
            else:
                self._idle.append(worker)
            return None

    def _abandon(self, job: "_Job") -> None:
        """Nobody waits for it any more; its thread is lost if it does not come back within its limit."""
        with self._lock:
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
    pid = os.getpid()
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


def _caught(function: Callable[..., Any], values: Mapping[str, Any]) -> Outcome:
    """As a value: a SystemExit raised into the event loop would end it, a StopIteration would hang the caller."""
    try:
        return function(**values), None
    except BaseException as error:  # noqa: BLE001 - see above
        return None, error


def _settle(future: "asyncio.Future[Outcome]", outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)


def _end_child(raised: BaseException | None) -> NoReturn:
    """End a process that the author's function forked and let go on: it must not become a second server."""
    code = raised.code if isinstance(raised, SystemExit) else int(raised is not None)
    os._exit(code if isinstance(code, int) else int(code is not None))

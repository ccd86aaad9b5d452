"""Running the author's functions: plain ones in threads, async ones on the loop; nothing they do ends the server."""

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

THREADS = 40
"""Plain functions that run at the same time; more wait."""


class CrashError(Exception):
    """The author's code raised something it did not announce, which is the `__cause__`."""


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling a function gives something to await."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - asks whether it is async, not whether it is callable


class Runner:
    """Threads for plain functions, made when first needed."""

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None

    async def __call__(self, function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
        """Call a function with keyword arguments.

        Raises:
            CrashError: The function tried to end the process.
            Exception: Whatever else it raised.
        """
        if is_async(function):
            try:
                return await function(**values)
            except (SystemExit, KeyboardInterrupt) as error:
                raise CrashError from error
        returned, raised = await self._in_thread(function, values)
        if raised is None:
            # A plain function may still hand back a coroutine, as a wrapped one does.
            return await returned if inspect.isawaitable(returned) else returned
        if isinstance(raised, Exception) and not isinstance(raised, StopIteration | StopAsyncIteration):
            raise raised
        raise CrashError from raised

    async def _in_thread(
        self, function: Callable[..., Any], values: Mapping[str, Any]
    ) -> tuple[Any, BaseException | None]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="tool")
        context = contextvars.copy_context()
        call = functools.partial(context.run, _caught, function, values)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def close(self) -> None:
        """Let go of the threads; those that still run are not waited for."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _caught(function: Callable[..., Any], values: Mapping[str, Any]) -> tuple[Any, BaseException | None]:
    """As a value: a SystemExit raised into the event loop would end it, a StopIteration would hang the caller."""
    try:
        return function(**values), None
    except BaseException as error:  # noqa: BLE001 - see above
        return None, error

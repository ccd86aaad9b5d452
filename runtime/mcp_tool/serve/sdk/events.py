"""The bus between `Context.tools_changed()` and its siblings and the open `subscriptions/listen` streams.

In one process it is memory. Replicas that share a Redis (`[serve] events`) tell each other through a stream of it:
every replica reads all of it, so each event reaches each open stream once. A Redis stream and not its publish and
subscribe, because a reader whose connection broke goes on where it was.

Redis is never waited for: a start, a call and an end go on without it, streams of the same process get its events in
any case, and what the others have not been told is kept until it is back (the last `KEPT` events).
"""

import asyncio
import contextlib
import json
import logging
import random
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

from mcp.server.subscriptions import InMemorySubscriptionBus, ServerEvent, SubscriptionBus
from mcp.shared.subscriptions import event_from_wire, event_to_notification

from mcp_tool.config import Config
from mcp_tool.serve import between

KEPT: Final = 1000
"""Events that wait for Redis to come back, and entries that its stream holds for readers that were away."""

LASTS: Final = 3600
"""Seconds after the last event in which Redis forgets the stream: a tool that was removed leaves nothing there."""

_WAIT: Final = 5.0
"""Seconds that one read waits for something new."""

_PAUSES: Final = (0.1, 5.0)
"""Seconds before the first and before every later attempt to reach Redis; between them it doubles."""

_LAST_WORDS: Final = 1.0
"""Seconds that the last events get at the end of the process."""

logger = logging.getLogger("mcp_tool.serve")


class Bus(SubscriptionBus, Protocol):
    """Where events are published and listened for, while it is `running`."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Entered around the transport."""


class Local(InMemorySubscriptionBus):
    """Events of this process for this process."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Nothing runs."""
        yield


def bus(config: Config, name: str) -> Bus:
    """The bus that a config asks for.

    Args:
        config: Where the server runs.
        name: The server's name, which tells deployments apart that nothing else does.

    Raises:
        StartProblem: See `between`.
    """
    where = between.address(config) if config.serve.listen else None
    if where is None:
        return Local()
    deployment = config.serve.probe.audience if config.serve.probe else f"{name}/{config.stage}"
    return Shared(where, f"mcp-tool:events:{deployment}")


class Shared:
    """Events of every replica for every replica.

    Each entry of the stream says who wrote it and the how-manyth of that replica it is: a replica skips its own, and
    what was written twice because the answer to the first attempt was lost.
    """

    def __init__(self, where: between.Address, stream: str) -> None:
        # One connection waits for what is new, another tells.
        self._redis = between.client(where, connections=2, wait=2.0, patience=2 * _WAIT)
        self._place = where.place
        self._stream = stream
        self._local = InMemorySubscriptionBus()
        self._own = secrets.token_hex(16)
        self._count = 0
        self._outbox: deque[dict[str, str]] = deque(maxlen=KEPT)
        self._something = asyncio.Event()
        self._told = asyncio.Event()
        self._seen: dict[str, int] = {}
        self._read_to: str | None = None
        self._failing: set[str] = set()

    async def publish(self, event: ServerEvent) -> None:
        """Tell the streams of this process now, and leave it to be told to the others."""
        self._count += 1
        self._outbox.append({"from": self._own, "count": str(self._count), "event": _text(event)})
        self._told.clear()
        self._something.set()
        await self._local.publish(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Call `listener` with every event of every replica, until what is returned is called."""
        return self._local.subscribe(listener)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell and listen; at the end what is left is told, if Redis is there."""
        reading = asyncio.create_task(self._over_and_over("read", self._read))
        writing = asyncio.create_task(self._over_and_over("write", self._write))
        try:
            yield
        finally:
            if self._outbox and not self._failing:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._told.wait(), _LAST_WORDS)
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)
            with contextlib.suppress(Exception):  # the process ends; a connection that will not close is the kernel's
                await self._redis.aclose()

    async def _over_and_over(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        from redis.exceptions import RedisError

        pause, longest = _PAUSES
        while True:
            try:
                await step()
            except (RedisError, OSError, TimeoutError) as error:
                self._lost(name, error)
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - only that not all come at once
                pause = min(2 * pause, longest)
            else:
                self._found(name)
                pause = _PAUSES[0]

    async def _write(self) -> None:
        await self._something.wait()
        while self._outbox:
            entry = self._outbox[0]
            pipe = self._redis.pipeline(transaction=False)
            pipe.xadd(self._stream, dict(entry), maxlen=KEPT, approximate=True)
            pipe.expire(self._stream, LASTS)
            await pipe.execute()
            # More may have come meanwhile than the outbox holds, and have pushed this one out already.
            if self._outbox and self._outbox[0] is entry:
                self._outbox.popleft()
        self._something.clear()
        self._told.set()

    async def _read(self) -> None:
        if self._read_to is None:
            newest = await self._redis.xrevrange(self._stream, count=1)
            self._read_to = newest[0][0] if newest else "0-0"
        answer = await self._redis.xread({self._stream: self._read_to}, block=int(_WAIT * 1000), count=KEPT)
        for _, entries in answer or ():
            for place, entry in entries:
                self._read_to = place
                await self._hear(entry)

    async def _hear(self, entry: dict[str, str]) -> None:
        sender, count, event = _event(entry)
        if event is None or sender == self._own or count <= self._seen.get(sender, 0):
            return
        self._seen.pop(sender, None)
        self._seen[sender] = count
        if len(self._seen) > KEPT:
            del self._seen[next(iter(self._seen))]  # the replica that has been silent longest
        await self._local.publish(event)

    def _lost(self, step: str, error: Exception) -> None:
        if not self._failing:
            text = "the other replicas cannot be told of changes, or tell of theirs: their Redis does not serve us"
            fields = {"redis": self._place, "error": type(error).__name__}
            logger.warning(text, extra={"fields": fields})
        self._failing.add(step)

    def _found(self, step: str) -> None:
        if self._failing:
            self._failing.discard(step)
            if not self._failing:
                logger.info("changes reach the other replicas again", extra={"fields": {"redis": self._place}})


def _text(event: ServerEvent) -> str:
    notification = event_to_notification(event, {}).model_dump(by_alias=True, mode="json", exclude_none=True)
    return json.dumps({"method": notification["method"], "params": notification.get("params", {})})


def _event(entry: dict[str, str]) -> tuple[str, int, ServerEvent | None]:
    """Sender, its count and the event; no event where another version wrote what this one does not understand."""
    try:
        document: dict[str, Any] = json.loads(entry["event"])
        return entry["from"], int(entry["count"]), event_from_wire(document["method"], document.get("params"))
    except (KeyError, TypeError, ValueError):
        return "", 0, None

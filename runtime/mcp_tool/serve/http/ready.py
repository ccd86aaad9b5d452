"""Whether this process should get requests now: `/readyz`."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

logger = logging.getLogger("mcp_tool.serve")

FRESH: Final = 2.0
"""Seconds for which an answer is given again; probes of several balancers do not add up."""

REACH: Final = 1.0
"""Seconds that all dependencies together have to take a connection."""


class Readiness:
    """Looks at what the server depends on, when somebody asks.

    Args:
        dependencies: By name, "host:port".
        worn: Whether so many threads are lost to functions that never came back that the process is at its end.
    """

    def __init__(
        self,
        dependencies: Mapping[str, str],
        worn: Callable[[], bool] = bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dependencies = dict(dependencies)
        self._worn = worn
        self._clock = clock
        self._away: tuple[str, ...] = ()
        self._looked: float | None = None
        self._looking: asyncio.Task[None] | None = None

    @property
    def worn(self) -> bool:
        """Whether so many threads are lost that the process is at its end."""
        return self._worn()

    async def reasons(self) -> tuple[str, ...]:
        """Why not, as words: "threads", and the names of dependencies that take no connection; empty when ready."""
        if self._dependencies and (self._looked is None or self._clock() - self._looked >= FRESH):
            # One look at a time; whoever asks meanwhile gets what it finds.
            if self._looking is None:
                self._looking = asyncio.create_task(self._look())
            await asyncio.shield(self._looking)
        return ("threads", *self._away) if self._worn() else self._away

    async def _look(self) -> None:
        try:
            found = await asyncio.gather(*(_takes_connections(place) for place in self._dependencies.values()))
            away = tuple(name for name, there in zip(self._dependencies, found, strict=True) if not there)
            if away != self._away:
                what = f"not reachable: {', '.join(away)}" if away else "all dependencies are reachable again"
                logger.log(logging.WARNING if away else logging.INFO, what)
            self._away, self._looked = away, self._clock()
        finally:
            self._looking = None


async def _takes_connections(place: str) -> bool:
    host, _, port = place.rpartition(":")
    try:
        async with asyncio.timeout(REACH):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, ValueError):  # TimeoutError is an OSError
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True

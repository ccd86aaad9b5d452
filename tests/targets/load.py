"""A real client under load: the SDK's own, over connections that it keeps open. One order, one answer a line.

python load.py

    {"url", "mode": "auto" | "legacy" | "2026-07-28", "at_once", "pause" (s)}    begin; no answer
    {"least", "seconds"}    end once ``least`` calls were answered, ``seconds`` from now at the latest
                            {"seen": {answer: count}, "failed": [...]}
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import Any

from mcp import Client


def _leaves(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_leaves(inner) for inner in error.exceptions)
    return repr(error) if error.__cause__ is None else f"{error!r} from {error.__cause__!r}"


class Load:
    """Several callers of one address, each with a connection of its own."""

    def __init__(self, url: str, mode: str, pause: float) -> None:
        self._url, self._mode, self._pause = url, mode, pause
        self._done = asyncio.Event()
        self._enough = asyncio.Event()
        self._least: int | None = None
        self.seen: Counter[str] = Counter()
        self.failed: list[str] = []

    async def call(self) -> None:
        """Call until it is over; connect anew after a failure, as a client's user would."""
        while not self._done.is_set():
            try:
                async with Client(self._url, mode=self._mode) as client:
                    while not self._done.is_set():
                        answer = await client.call_tool("greet", {"name": "you"})
                        self.seen[answer.content[0].text] += 1  # type: ignore[union-attr]  # the tool answers with text
                        self._look()
                        if self._pause:
                            await asyncio.sleep(self._pause)
            except Exception as error:  # noqa: BLE001  # whatever the client's user would see
                self.failed.append(f"{time.time():.3f} {_leaves(error)}")

    async def end(self, least: int, seconds: float) -> None:
        """Stop once enough calls were answered, or the time is over."""
        self._least = least
        self._look()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._enough.wait(), seconds)
        self._done.set()

    def _look(self) -> None:
        if self._least is not None and self.seen.total() >= self._least:
            self._enough.set()


async def main() -> None:
    """Take orders until standard input ends."""
    load: Load | None = None
    callers: list[asyncio.Task[None]] = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        order: dict[str, Any] = json.loads(line)
        if load is None:
            load = Load(order["url"], order["mode"], order["pause"])
            callers = [asyncio.create_task(load.call()) for _ in range(order["at_once"])]
        else:
            await load.end(order["least"], order["seconds"])
            await asyncio.gather(*callers)
            print(json.dumps({"seen": load.seen, "failed": load.failed}), flush=True)
            load = None


if __name__ == "__main__":
    asyncio.run(main())

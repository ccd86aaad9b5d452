"""A real client under load: the SDK's own, over connections that it keeps open. Prints what it saw as JSON.

python load.py URL MODE    MODE: auto, legacy or 2026-07-28; ends when its standard input does
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections import Counter

from mcp import Client

_AT_ONCE = 4


def _leaves(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_leaves(inner) for inner in error.exceptions)
    return repr(error) if error.__cause__ is None else f"{error!r} from {error.__cause__!r}"


async def _one(url: str, mode: str, done: threading.Event, seen: Counter[str], failed: list[str]) -> None:
    while not done.is_set():
        try:
            async with Client(url, mode=mode) as client:
                while not done.is_set():
                    answer = await client.call_tool("greet", {"name": "you"})
                    seen[answer.content[0].text] += 1  # type: ignore[union-attr]  # the tool answers with text
        except Exception as error:  # noqa: BLE001  # whatever the client's user would see
            failed.append(f"{time.time():.3f} {_leaves(error)}")


async def main(url: str, mode: str) -> None:
    seen: Counter[str] = Counter()
    failed: list[str] = []
    done = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        done.set()

    threading.Thread(target=wait, daemon=True).start()
    await asyncio.gather(*(_one(url, mode, done, seen, failed) for _ in range(_AT_ONCE)))
    print(json.dumps({"seen": seen, "failed": failed}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))

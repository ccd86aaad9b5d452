"""A client that keeps calling while the world behind the address changes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mcp_packager.errors import PackError
from mcp_packager.verify import Era, McpClient, RefusedError, texts

_PAUSE = 0.005
"""Seconds between two calls: the server under test needs the processor too."""


def greeting(url: str, era: Era = Era.MODERN) -> str:
    """What the suite's tool answers."""
    return texts(McpClient(url, era=era).call_tool("greet", {"name": "you"}))


def let_in(url: str, key: str | None) -> bool:
    """Whether who shows the key (``None``: nothing) may call."""
    try:
        McpClient(url, _shown(key)).call_tool("greet", {"name": "you"})
    except RefusedError as error:
        if error.status not in {401, 403}:
            raise
        return False
    return True


def _shown(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


@dataclass
class Calls:
    """What a client saw: answers and failures, in order."""

    answers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@contextmanager
def calling(url: str, key: str | None = None) -> Iterator[Calls]:
    """Call again and again, from another thread, while the body runs; ``key`` is shown with each call."""
    calls, done = Calls(), threading.Event()

    def work() -> None:
        client = McpClient(url, _shown(key))
        client.list_tools()
        while not done.is_set():
            try:
                calls.answers.append(texts(client.call_tool("greet", {"name": "you"})))
            except PackError as error:
                calls.failures.append(str(error))
            done.wait(_PAUSE)

    thread = threading.Thread(target=work, name="suite-client")
    thread.start()
    try:
        yield calls
    finally:
        done.set()
        thread.join()

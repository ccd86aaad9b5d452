"""Callers that do not stop: what each call came to is noted, and nothing is tried twice."""

from __future__ import annotations

import functools
import http.client
import itertools
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

from tests.replicas.fleet import Endpoint, call, eventually, request
from tests.serve.process import LEGACY, MODERN, message

QUICK, SLOW, BLOCKING, ASKING = "quick", "slow", "blocking", "asking"
TOOLS = '''
import asyncio
import time
from typing import Annotated

from pydantic import BaseModel

from mcp_tool import Ask, Resolve, tool


class Name(BaseModel):
    """A form."""

    name: str


def ask_name() -> Ask[Name]:
    """A question."""
    return Ask("Who are you?", Name)


@tool
async def quick(number: int) -> int:
    """Answer at once."""
    return number


@tool
async def slow(number: int) -> int:
    """Answer after a while, on the event loop."""
    await asyncio.sleep(0.05)
    return number


@tool
def blocking(number: int) -> int:
    """Answer after a while, in a thread."""
    time.sleep(0.05)
    return number


@tool
def asking(number: int, who: Annotated[Name, Resolve(ask_name)]) -> str:
    """Ask first."""
    return f"{number} {who.name}"
'''


class Load:
    """Threads that call through one endpoint, half of them in each era, until the block ends.

    Every request has a connection of its own: nginx, told to take another configuration, closes idle connections of
    its clients, and a request that crosses such an end is lost by nobody's fault. Towards the replicas nginx keeps its
    connections, and those are what is looked at.

    Attributes:
        done: Successful calls by era.
        failed: What went wrong, in words.
        key: The bearer key of calls that begin from now on; a call of two rounds keeps the one that it began with.
    """

    def __init__(self, where: Endpoint, threads: int = 6, key: str | None = None) -> None:
        self.done: Counter[str] = Counter()
        self.failed: list[str] = []
        self.key = key
        self._where = where
        self._over = threading.Event()
        self._counts = [0] * threads
        eras = itertools.islice(itertools.cycle([LEGACY, MODERN]), threads)
        self._threads = [threading.Thread(target=self._run, args=(era, place)) for place, era in enumerate(eras)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def reaches(self, calls: int, seconds: float = 60.0) -> bool:
        """Wait until each era has that many calls, or one has failed."""
        return eventually(
            lambda: bool(self.failed) or all(self.done[era] >= calls for era in (LEGACY, MODERN)), seconds
        )

    def goes_on(self) -> bool:
        """Wait until every thread has begun and ended a call since now, or one has failed."""
        before = list(self._counts)
        return eventually(
            lambda: bool(self.failed) or all(now >= then + 2 for now, then in zip(self._counts, before, strict=True))
        )

    def _run(self, era: str, place: int) -> None:
        tools = [QUICK] * 6 + [SLOW, BLOCKING] + ([ASKING] if era == MODERN else [])
        for number, name in enumerate(itertools.cycle(tools)):
            if self._over.is_set():
                return
            try:
                self._call(era, name, number)
            except (AssertionError, OSError, ValueError, http.client.HTTPException) as error:
                self.failed.append(f"{era} {name} {place}-{number}: {type(error).__name__}: {error}")
            else:
                self.done[era] += 1
                self._counts[place] += 1

    def _call(self, era: str, name: str, number: int) -> None:
        key = self.key
        ask = functools.partial(self._request, era, key)
        params = call(name, number=number)
        result = ask(params)
        if name == ASKING:
            assert result["resultType"] == "input_required", result
            (question,) = result["inputRequests"]
            answers = {question: {"action": "accept", "content": {"name": "ada"}}}
            result = ask({**params, "inputResponses": answers, "requestState": result["requestState"]})
        expected = f"{number} ada" if name == ASKING else number
        assert result.get("structuredContent") == {"result": expected}, result

    def _request(self, era: str, key: str | None, params: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        body, sent = request(era, "tools/call", params, headers, elicitation={})
        status, _, answer = self._where.send("POST", "/mcp", body, sent)
        assert status == 200, (status, answer[:300])
        result = message(answer).get("result")
        assert isinstance(result, dict), answer[:300]
        return result

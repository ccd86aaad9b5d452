"""An answer that becomes a stream when it has to, stays alive while it is silent, and ends when its client leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcp_tool.serve.http import reply


def test_a_silent_call_pings_and_then_answers_on_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "PING_AFTER", 0.01)
    monkeypatch.setattr(reply, "_LOOK_AFTER", 0.0)
    sent: list[Any] = []

    async def conversation() -> None:
        twice = asyncio.Event()

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)
            if len(sent) == 3:
                twice.set()

        async with reply.Reply(receive, send) as answer:
            await asyncio.wait_for(twice.wait(), 20)
            await answer.end(200, "{}")
        await answer.event("too late")

    asyncio.run(conversation())
    assert sent[0]["type"] == "http.response.start"
    assert dict(sent[0]["headers"])[b"content-type"] == b"text/event-stream"
    assert [message["body"] for message in sent[1:3]] == [b": ping\r\n\r\n"] * 2
    assert sent[-1] == {"type": "http.response.body", "body": b"event: message\r\ndata: {}\r\n\r\n", "more_body": False}


def test_a_stop_from_elsewhere_is_not_taken_for_a_client_that_left() -> None:
    async def conversation() -> None:
        async def never() -> Any:
            await asyncio.Event().wait()

        async def ignore(_: Any) -> None:
            pass

        async def work() -> None:
            async with reply.Reply(never, ignore):
                await asyncio.Event().wait()

        task = asyncio.ensure_future(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(conversation())

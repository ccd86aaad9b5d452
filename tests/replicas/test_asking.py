"""A question asked by one replica is answered through another, by whom it was asked and by nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.context import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitResult

from tests.replicas.fleet import Endpoint, Fleet, call, fleet, secret
from tests.serve.process import LEGACY, MODERN, make_bundle

pytestmark = [pytest.mark.real("nginx", "redis"), pytest.mark.xdist_group("replicas")]

ANSWER = {"action": "accept", "content": {"username": "ada", "email": "ada@example.com"}}
ASKED: dict[str, Any] = {"name": "test_elicitation", "arguments": {"message": "Who are you?"}}

SOURCE = '''
from typing import Annotated

from pydantic import BaseModel

from mcp_tool import Ask, Context, Resolve, tool


class Color(BaseModel):
    """A form with one field."""

    color: str


def with_default() -> Ask[Color]:
    """Ask with something to fall back on."""
    return Ask("Which color?", Color, default=Color(color="green"))


def without() -> Ask[Color]:
    """Ask with nothing to fall back on."""
    return Ask("Which color?", Color)


@tool
def paint(chosen: Annotated[Color, Resolve(with_default)]) -> str:
    """Paint something."""
    return chosen.color


@tool
def repaint(chosen: Annotated[Color, Resolve(without)]) -> str:
    """Paint it again."""
    return chosen.color


@tool
def shown(context: Context) -> list[str]:
    """Tell which headers a tool sees."""
    return sorted(context.headers or ())
'''


def asked(where: Endpoint, **headers: str) -> dict[str, Any]:
    """The first round: the question with its state."""
    answer, _ = where.ask(MODERN, "tools/call", ASKED, headers, elicitation={})
    assert answer["result"]["resultType"] == "input_required", answer
    result: dict[str, Any] = answer["result"]
    return result


def answered(where: Endpoint, question: dict[str, Any], **headers: str) -> dict[str, Any]:
    """The second round: the same call with the answer."""
    (key,) = question["inputRequests"]
    again = {**ASKED, "inputResponses": {key: ANSWER}, "requestState": question["requestState"]}
    answer, _ = where.ask(MODERN, "tools/call", again, headers, elicitation={})
    return answer


def text(answer: dict[str, Any]) -> str:
    found: str = answer["result"]["content"][0]["text"]
    return found


def test_a_question_crosses_replicas_both_ways(three: Fleet) -> None:
    for one in three.replicas:
        for other in three.replicas:
            answer = answered(other, asked(one))
            assert text(answer).startswith("User response: action=accept"), answer


def test_a_client_behind_nginx_notices_nothing(three: Fleet) -> None:
    """The SDK's own client, whose two rounds go to two replicas since nginx takes turns."""
    shown: list[str] = []

    async def on_elicit(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        shown.append(params.message)
        return ElicitResult(action="accept", content={"username": "ada", "email": "ada@example.com"})

    async def use() -> list[str]:
        async with Client(three.front.url, mode=MODERN, elicitation_callback=on_elicit) as client:
            results = [await client.call_tool(ASKED["name"], ASKED["arguments"]) for _ in range(4)]
        return [str(result.model_dump()["content"][0]["text"]) for result in results]

    texts = asyncio.run(use())
    assert all(found.startswith("User response: action=accept") for found in texts), texts
    assert shown == ["Who are you?"] * 4


def test_a_state_that_was_changed_is_refused(three: Fleet) -> None:
    question = asked(three.front)
    sealed = question["requestState"]
    flipped = sealed[:-1] + ("A" if sealed[-1] != "A" else "B")
    answer = answered(three.front, question | {"requestState": flipped})
    assert answer["error"]["code"] == -32602
    other = {**call("test_elicitation", message="Another call"), "requestState": sealed, "inputResponses": {}}
    assert three.front.ask(MODERN, "tools/call", other, elicitation={})[0]["error"]["code"] == -32602


@pytest.fixture(scope="module")
def two(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("callers")
    keys = [secret(folder, name, f"{name}-{'k' * 40}") for name in ("ada", "eve")]
    with fleet(folder, bundle, 2, {"auth": {"mode": "bearer", "keys": keys}}, redis=False) as running:
        yield running


class TestCallers:
    """Two callers with a key each."""

    @staticmethod
    def of(name: str) -> dict[str, str]:
        return {"authorization": f"Bearer {name}-{'k' * 40}"}

    def test_who_was_asked_answers_through_the_other_replica(self, two: Fleet) -> None:
        one, other = two.replicas
        assert "result" in answered(other, asked(one, **self.of("ada")), **self.of("ada"))

    def test_nobody_else_answers_for_them(self, two: Fleet) -> None:
        one, other = two.replicas
        for where in (one, other):
            answer = answered(where, asked(one, **self.of("ada")), **self.of("eve"))
            assert answer["error"]["message"] == "Invalid or expired requestState"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("older")
    with fleet(folder, make_bundle(folder / "bundle", SOURCE), 2, redis=False) as running:
        yield running


class TestOlderClients:
    """Over HTTP they cannot be asked."""

    def test_a_question_with_a_default_is_answered_by_it(self, pair: Fleet) -> None:
        answer, _ = pair.front.ask(LEGACY, "tools/call", call("paint"))
        assert (answer["result"]["isError"], text(answer)) == (False, "green")

    def test_one_without_ends_the_call_with_the_reason(self, pair: Fleet) -> None:
        answer, _ = pair.front.ask(LEGACY, "tools/call", call("repaint"))
        assert answer["result"]["isError"] is True
        assert text(answer).startswith("Error executing tool repaint: ")
        assert "ask" in text(answer)

    def test_a_newer_client_of_the_same_endpoint_is_asked(self, pair: Fleet) -> None:
        for name in ("paint", "repaint"):
            answer, _ = pair.front.ask(MODERN, "tools/call", call(name), elicitation={})
            assert answer["result"]["resultType"] == "input_required"

    @pytest.mark.parametrize("era", [LEGACY, MODERN])
    def test_no_credentials_reach_a_tool(self, pair: Fleet, era: str) -> None:
        sent = {"authorization": "Bearer x", "cookie": "a=b", "x-amz-security-token": "t", "x-mine": "yes"}
        answer, _ = pair.front.ask(era, "tools/call", call("shown"), sent)
        seen = answer["result"]["structuredContent"]["result"]
        assert "x-mine" in seen
        assert set(seen).isdisjoint({"authorization", "cookie", "x-amz-security-token"})

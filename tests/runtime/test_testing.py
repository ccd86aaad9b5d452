"""What an author's tests use to call tools without a server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from mcp_tool import (
    Ask,
    Cancelled,
    Context,
    Declined,
    Image,
    InputRequired,
    ListRoots,
    Outcome,
    Resolve,
    Root,
    Sample,
    Sampled,
    Settings,
    ToolError,
    UserMessage,
    prompt,
    provide,
    resource,
    tool,
)
from mcp_tool.errors import ContractError, RpcError, SettingsError
from mcp_tool.testing import Tools, UnansweredError, acall, call


class Sure(BaseModel):
    yes: bool


class Point(BaseModel):
    x: int


class Limits(Settings):
    api_key: str


class Database:
    def __init__(self, name: str) -> None:
        self.name = name


def confirm(what: str) -> Ask[Sure]:
    return Ask(f"Really {what}?", Sure)


def test_what_comes_back() -> None:
    @tool
    def number(text: str) -> int:
        """Count."""
        return len(text)

    @tool("renamed")
    def model(x: int) -> Point:
        """Make."""
        return Point(x=x)

    @tool
    async def picture() -> Image:
        """Draw."""
        return Image(data=b"x")

    @tool(structured=False)
    def text() -> str:
        """Say."""
        return "words"

    assert call(number, text="abc") == 3
    assert call("number", text="abc") == 3
    assert call("renamed", x="5") == {"x": 5}
    assert call(model, x=5) == {"x": 5}
    assert call(picture) == [{"type": "image", "data": "eA==", "mimeType": "image/png"}]
    assert call(text) == "words"
    assert asyncio.run(acall(number, text="ab")) == 2
    whole = asyncio.run(Tools().result(number, text=3))
    assert whole["isError"]


def test_failures_raise() -> None:
    @tool
    def announced() -> str:
        """Fail."""
        raise ToolError("closed")

    @tool
    def crash() -> str:
        """Crash."""
        raise KeyError("inner")

    with pytest.raises(ToolError, match="Error executing tool announced: closed"):
        call(announced)
    with pytest.raises(ToolError, match="Error executing tool crash") as raised:
        call(crash)
    assert isinstance(raised.value.__cause__, KeyError)
    with pytest.raises(LookupError, match="there is no tool 'nothing'; known: announced, crash"):
        call("nothing")


def test_what_is_wrong_with_others_does_not_matter() -> None:
    @tool
    def good() -> int:
        """Be good."""
        return 1

    @tool
    def bad(x):  # type: ignore[no-untyped-def]  # the point
        return x

    @tool("good")
    def second() -> int:
        """Have its name."""
        return 2

    assert call(good) == 1
    assert call(second) == 2
    with pytest.raises(ContractError):
        call(bad)
    with pytest.raises(ContractError, match="declared twice"):
        call("good")


def test_settings_and_provided_values() -> None:
    made: list[str] = []

    @provide
    async def database(limits: Limits) -> AsyncIterator[Database]:
        made.append("up")
        yield Database(limits.api_key)
        made.append("down")

    @tool
    def use(database: Database) -> str:
        """Use."""
        return database.name

    @tool
    def settings(limits: Limits) -> str:
        """Use."""
        return limits.api_key

    @tool
    def neither() -> str:
        """Use nothing."""
        return "n"

    assert Tools(env={"API_KEY": "k"}).call(use) == "k"
    assert made == ["up", "down"]
    for key in (Database, database):
        assert Tools(env={}, provide={key: Database("fake")}).call(use) == "fake"
    assert Tools(env={}, provide={Limits: Limits(api_key="given")}).call(settings) == "given"
    assert Tools(env={}).call(neither) == "n"
    assert made == ["up", "down"]
    with pytest.raises(SettingsError, match="API_KEY"):
        Tools(env={}).call(use)


def test_answers() -> None:
    def guess() -> Sample:
        return Sample("Guess", 5)

    @tool
    def delete(what: str, sure: Annotated[Outcome[Sure], Resolve(confirm)]) -> str:
        """Delete."""
        return repr(sure)

    @tool
    def insist(what: str, sure: Annotated[Sure, Resolve(confirm, key="sure")]) -> str:
        """Delete."""
        return repr(sure)

    @tool
    def rest(word: Annotated[Sampled, Resolve(guess)], roots: Annotated[tuple[Root, ...], Resolve(ListRoots)]) -> str:
        """Ask the rest."""
        return f"{word.text} {roots}"

    @tool
    def by_hand(ctx: Context) -> str | InputRequired:
        """Ask by hand."""
        return InputRequired({"n": Ask("Who?", Sure)}) if not ctx.answers else str(ctx.answers["n"]["content"])

    for key in (confirm, "confirm"):
        assert Tools(answers={key: Sure(yes=True)}).call(delete, what="it") == "Accepted(data=Sure(yes=True))"
    assert Tools(answers={confirm: {"yes": False}}).call(delete, what="it") == "Accepted(data=Sure(yes=False))"
    assert Tools(answers={confirm: Declined()}).call(delete, what="it") == "Declined()"
    assert Tools(answers={confirm: Cancelled()}).call(delete, what="it") == "Cancelled()"
    assert Tools(answers={"sure": Sure(yes=True)}).call(insist, what="it") == "Sure(yes=True)"
    with pytest.raises(ToolError, match="declined"):
        Tools(answers={confirm: Declined()}).call(insist, what="it")
    with pytest.raises(UnansweredError, match=r"asks 'Really it\?', and answers has nothing for 'confirm'"):
        call(insist, what="it")
    answers: dict[Any, Any] = {guess: "word", ListRoots: ["file:///a"]}
    assert Tools(answers=answers).call(rest) == "word (Root(uri='file:///a', name=None),)"
    sampled = Sampled("assistant", ({"type": "text", "text": "own"},), "m")
    assert Tools(answers={**answers, guess: sampled}).call(rest).startswith("own ")
    assert Tools(answers={"n": Sure(yes=True)}).call(by_hand) == "{'yes': True}"


def test_one_lifespan_for_a_block() -> None:
    made: list[str] = []

    @provide
    async def database(limits: Limits) -> AsyncIterator[Database]:
        made.append("up")
        loop = asyncio.get_running_loop()
        yield Database(limits.api_key)
        made.append("down" if loop is asyncio.get_running_loop() else "down on another loop")

    @tool
    async def rename(name: str, database: Database) -> str:
        """Rename."""
        before, database.name = database.name, name
        return before

    @resource("name://now")
    def now(database: Database) -> str:
        return database.name

    with Tools(env={"API_KEY": "k"}) as tools:
        assert made == ["up"]
        assert tools.call(rename, name="b") == "k"
        assert tools.call("rename", name="c") == "b"
        assert tools.read("name://now") == "c"
        with pytest.raises(ToolError, match="name"):
            tools.call(rename)
        assert made == ["up"]
    assert made == ["up", "down"]

    async def block() -> str:
        async with Tools(env={"API_KEY": "k"}) as tools:
            await tools.acall(rename, name="d")
            return str(await tools.aread("name://now"))

    assert asyncio.run(block()) == "d"
    assert made == ["up", "down"] * 2
    with pytest.raises(SettingsError, match="API_KEY"), Tools(env={}):
        pass
    assert Tools(env={"API_KEY": "k"}).call(rename, name="e") == "k"


def test_resources() -> None:
    @resource("notes://{name}")
    def note(name: str) -> dict[str, str]:
        if name == "crash":
            raise KeyError(name)
        return {"name": name}

    @resource("pixel://one")
    def pixel() -> bytes:
        return b"\x00\x01"

    @resource("secret://one")
    def secret(limits: Limits) -> str:
        return limits.api_key

    tools = Tools(env={})
    assert tools.read("notes://a") == '{\n  "name": "a"\n}'
    assert tools.read("pixel://one") == b"\x00\x01"
    with pytest.raises(RpcError, match="Unknown resource"):
        tools.read("other://a")
    with pytest.raises(RpcError) as raised:
        tools.read("notes://crash")
    assert isinstance(raised.value.__cause__, KeyError)
    with pytest.raises(SettingsError, match="API_KEY"):
        tools.read("secret://one")


def test_prompts() -> None:
    @prompt
    def review(code: str) -> str:
        """Review."""
        return f"Review {code}"

    @prompt("pair")
    def two(word: str) -> list[UserMessage]:
        """Say two things."""
        return [UserMessage(word), UserMessage("again")]

    tools = Tools()
    assert tools.prompt(review, code="x") == "Review x"
    assert [message["content"]["text"] for message in tools.prompt("pair", word="w")] == ["w", "again"]
    with pytest.raises(RpcError, match="code"):
        tools.prompt(review)
    with pytest.raises(LookupError, match="there is no prompt 'none'; known: pair, review"):
        tools.prompt("none")

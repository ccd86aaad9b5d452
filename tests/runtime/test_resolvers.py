"""The graph of a tool's resolvers: each once in a call, and every flaw found when the contract is made."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel

from mcp_tool import Ask, Context, InputRequired, Resolve, tool
from mcp_tool.app import App
from mcp_tool.errors import ContractProblem
from mcp_tool.wire import InProcess
from tests.runtime.conftest import MakeApp

Problems = Callable[[], tuple[ContractProblem, ...]]


class Name(BaseModel):
    name: str


def called(app: App, name: str, wire: InProcess, **arguments: Any) -> dict[str, Any]:
    return asyncio.run(app.call_tool(name, arguments, wire))


def text(answer: Mapping[str, Any]) -> str:
    return str(answer["content"][0]["text"])


class TestGraph:
    def test_once_in_a_call(self, make_app: MakeApp) -> None:
        runs: list[int] = []

        class Service:
            def count(self) -> int:
                runs.append(1)
                return len(runs)

        service = Service()

        async def other(a: Annotated[int, Resolve(service.count)], ctx: Context, text: str) -> str:
            return f"{a} {ctx.request_id} {text}"

        @tool
        def use(text: str, a: Annotated[int, Resolve(service.count)], b: Annotated[str, Resolve(other)]) -> str:
            """Use both."""
            return f"{a} {b}"

        answer = called(make_app(), "use", InProcess(request_id=5), text="t")
        assert (text(answer), len(runs)) == ("1 1 5 t", 1)

    def test_asking_in_two_ways_at_once(self, make_app: MakeApp, problems: Problems) -> None:
        @tool
        def hidden(a: Annotated[int, Resolve(fine_too)]) -> Any:
            """Ask without saying so."""
            return InputRequired(state="mine")

        answer = called(make_app(), "hidden", InProcess())
        assert (answer["isError"], text(answer)) == (True, "Error executing tool hidden")

        @tool
        def open_(a: Annotated[int, Resolve(fine_too)]) -> str | InputRequired:
            """Ask in two ways."""
            return ""

        assert [problem.what for problem in problems()] == [
            "tool 'open_' returns InputRequired, and its parameters use Resolve(…)"
        ]

    def test_everything_wrong_with_it(self, problems: Problems) -> None:
        def needs_more(missing: int) -> int:
            return missing

        def asks_badly() -> Ask[Nested]:
            return Ask("?", Nested)

        def asks_for_a_word() -> Ask[str]:
            return Ask("?", str)

        @tool
        def one(
            a: int,
            b: Annotated[int, Resolve(needs_more)],
            c: Annotated[int, Resolve(circle)],
            d: Annotated[int, Resolve(asks_badly)],
            e: Annotated[str, Resolve(asks_for_a_word)],
            f: Annotated[int, Resolve(fine, key="k")],
            g: Annotated[int, Resolve(fine_too, key="k")],
        ) -> str:
            """Go wrong."""
            return ""

        assert [problem.what for problem in problems()] == [
            "nothing fills parameter 'missing' of resolver needs_more()",
            "resolver circle() needs itself, in a circle",
            "resolver asks_badly() cannot ask: field 'inner' of Nested is not text, a number, a boolean or a choice",
            "resolver asks_for_a_word() asks with <class 'str'>, not a pydantic model",
            "two resolvers have the key 'k'",
        ]


def circle(x: "Annotated[int, Resolve(circle)]") -> int:
    return x


def fine(a: int, extra: int = 2) -> int:
    return a + extra


def fine_too() -> int:
    return 2


class Nested(BaseModel):
    inner: Name

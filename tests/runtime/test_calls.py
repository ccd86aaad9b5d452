"""The seam: arguments in, results out, and nothing an author writes brings the server down."""

import asyncio
import contextvars
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
from mcp.server import MCPServer
from mcp.server.mcpserver.tools.base import Tool
from pydantic import BaseModel

from mcp_tool import Audio, Context, File, Image, Link, RpcError, Text, ToolError, ToolResult, registry, tool
from mcp_tool.app import App
from mcp_tool.principal import Principal
from mcp_tool.wire import InProcess
from tests.runtime.conftest import MakeApp

request_number: contextvars.ContextVar[int] = contextvars.ContextVar("request_number", default=0)


class Point(BaseModel):
    x: int
    y: int = 0


class Wider(Point):
    z: int = 7


@dataclass
class Price:
    amount: Decimal
    unit: str = "EUR"


def called(app: App, name: str, wire: InProcess | None = None, /, **arguments: Any) -> dict[str, Any]:
    return asyncio.run(app.call_tool(name, arguments, wire or InProcess()))


def text(answer: Mapping[str, Any]) -> str:
    (block,) = answer["content"]
    return str(block["text"])


def value(answer: Mapping[str, Any]) -> Any:
    assert not answer["isError"], answer
    return answer["structuredContent"]


def returns_text() -> str:
    """d"""
    return "hello"


def returns_number() -> int:
    """d"""
    return 3


def returns_model() -> Point:
    """d"""
    return Wider(x=1)


def returns_dataclass() -> Price:
    """d"""
    return Price(Decimal("1.50"))


def returns_list() -> list[Point]:
    """d"""
    return [Point(x=1), Point(x=2)]


def returns_mapping() -> dict[str, int]:
    """d"""
    return {"é": 1}


def returns_nothing() -> None:
    """d"""


def returns_untyped():  # type: ignore[no-untyped-def]  # the point
    """d"""
    return {"a": [1, None], "b": {3}}


def returns_bare_list() -> list:  # type: ignore[type-arg]  # the point
    """d"""
    return ["a", "b", 3]


@pytest.mark.parametrize(
    "function",
    [
        returns_text,
        returns_number,
        returns_model,
        returns_dataclass,
        returns_list,
        returns_mapping,
        returns_nothing,
        returns_untyped,
        returns_bare_list,
    ],
)
def test_results_are_those_of_the_sdk(make_app: MakeApp, function: Callable[..., Any]) -> None:
    tool(function)
    server = MCPServer("s", tools=[Tool.from_function(function)])
    sdk = asyncio.run(server.call_tool(function.__name__, {}))
    wire = sdk.model_dump(by_alias=True, mode="json", exclude_none=True)
    wire.pop("resultType", None)
    assert called(make_app(), function.__name__) == wire


def test_a_result_that_can_be_read_only_once(make_app: MakeApp) -> None:
    @tool
    def lazy() -> Iterable[int]:
        """Be lazy."""
        return (number for number in range(3))

    answer = called(make_app(), "lazy")
    assert value(answer) == {"result": [0, 1, 2]}
    assert [block["text"] for block in answer["content"]] == ["0", "1", "2"]


def test_content_of_every_kind(make_app: MakeApp, tmp_path: Path) -> None:
    picture = tmp_path / "p.jpg"
    picture.write_bytes(b"jpg")

    @tool
    def mixed() -> list[Text | Image | Audio | File | Link | str]:
        """Show everything."""
        return [
            "plain",
            Text("t", annotations={"priority": 1}),
            Image(path=picture),
            Image(data=b"png"),
            Audio(data=b"wav"),
            File(uri="a://b", text="body"),
            File(uri="a://c", data=b"\0", mime_type="x/y"),
            Link(uri="a://d", name="d", mime_type="text/plain"),
        ]

    app = make_app()
    assert "outputSchema" not in app.plans.tools["mixed"].definition
    assert called(app, "mixed") == {
        "content": [
            {"type": "text", "text": "plain"},
            {"type": "text", "text": "t", "annotations": {"priority": 1}},
            {"type": "image", "data": "anBn", "mimeType": "image/jpeg"},
            {"type": "image", "data": "cG5n", "mimeType": "image/png"},
            {"type": "audio", "data": "d2F2", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "a://b", "mimeType": "text/plain", "text": "body"}},
            {"type": "resource", "resource": {"uri": "a://c", "mimeType": "x/y", "blob": "AA=="}},
            {"type": "resource_link", "uri": "a://d", "name": "d", "mimeType": "text/plain"},
        ],
        "isError": False,
    }


@pytest.mark.parametrize("kind", [Image, Audio])
def test_content_needs_one_source(kind: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="either data or path"):
        kind()
    with pytest.raises(ValueError, match="either data or path"):
        kind(data=b"", path="x")
    with pytest.raises(ValueError, match="one of text, data and path"):
        File(uri="a://b")


def test_a_result_by_hand(make_app: MakeApp) -> None:
    @tool
    def free() -> ToolResult:
        """Say it freely."""
        return ToolResult(content=["a", {"b": 1}], structured={"c": 2}, meta={"d": 3})

    @tool
    def bound(good: bool) -> Annotated[ToolResult, Point]:
        """Say it in a form."""
        return ToolResult(content=["a"], structured={"x": 1} if good else {"x": "no"})

    @tool
    def failed() -> Annotated[ToolResult, Point]:
        """Fail."""
        return ToolResult(content=["no"], is_error=True)

    app = make_app()
    assert called(app, "free") == {
        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": '{\n  "b": 1\n}'}],
        "isError": False,
        "structuredContent": {"c": 2},
        "_meta": {"d": 3},
    }
    assert app.plans.tools["bound"].definition["outputSchema"]["title"] == "Point"
    assert value(called(app, "bound", good=True)) == {"x": 1, "y": 0}
    assert called(app, "bound", good=False)["isError"]
    assert called(app, "failed") == {"content": [{"type": "text", "text": "no"}], "isError": True}


def test_failures(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    @tool
    def announced() -> str:
        """Fail with words."""
        raise ToolError("the sky is closed")

    @tool
    def crashed() -> str:
        """Crash."""
        raise ValueError("inner secret")

    @tool
    async def crashed_async() -> str:
        """Crash."""
        raise KeyError("inner secret")

    @tool
    def protocol() -> str:
        """Answer with a protocol error."""
        raise RpcError(-32000, "busy", {"retry": 3})

    @tool
    def lies() -> int:
        """Promise a number."""
        return "no number"  # type: ignore[return-value]  # the lie

    @tool
    def infinite() -> float:
        """Return what JSON has no words for."""
        return float("nan")

    app = make_app()
    assert called(app, "announced") == {
        "content": [{"type": "text", "text": "Error executing tool announced: the sky is closed"}],
        "isError": True,
    }
    with caplog.at_level(logging.ERROR):
        for name in ("crashed", "crashed_async", "lies", "infinite"):
            assert called(app, name) == {
                "content": [{"type": "text", "text": f"Error executing tool {name}"}],
                "isError": True,
            }
    assert "inner secret" in vars(caplog.records[0])["fields"]["traceback"]
    with pytest.raises(RpcError, match="busy") as raised:
        called(app, "protocol")
    assert (raised.value.code, raised.value.data) == (-32000, {"retry": 3})
    assert called(app, "missing") == {"content": [{"type": "text", "text": "Unknown tool: missing"}], "isError": True}


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), StopIteration(), asyncio.CancelledError()])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_nothing_a_tool_raises_ends_the_server(make_app: MakeApp, error: BaseException, asynchronous: bool) -> None:
    if asynchronous and isinstance(error, asyncio.CancelledError):
        pytest.skip("cancelling its own call is a coroutine's right")

    @tool
    def plain() -> str:
        """End it."""
        raise error

    @tool
    async def coroutine() -> str:
        """End it."""
        raise error

    name = "coroutine" if asynchronous else "plain"
    assert text(called(make_app(), name)) == f"Error executing tool {name}"


def test_plain_functions_run_beside_each_other_in_threads_with_their_context(make_app: MakeApp) -> None:
    barrier = threading.Barrier(8, timeout=10)

    @tool
    def meet() -> int:
        """Wait for the others."""
        barrier.wait()
        return request_number.get()

    app = make_app()

    async def one(number: int) -> int:
        request_number.set(number)
        return int(value(await app.call_tool("meet", {}, InProcess()))["result"])

    async def together() -> list[int]:
        return await asyncio.gather(*(one(number) for number in range(8)))

    assert asyncio.run(together()) == list(range(8))


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_call_that_takes_too_long(make_app: MakeApp, asynchronous: bool) -> None:
    release = threading.Event()

    @tool(timeout="50ms")
    def plain() -> str:
        """Wait."""
        release.wait(10)
        return ""

    @tool(timeout="50ms")
    async def coroutine() -> str:
        """Wait."""
        await asyncio.sleep(10)
        return ""

    @tool(timeout=10)
    async def own() -> str:
        """Raise its own."""
        raise TimeoutError("inner")

    app = make_app()
    name = "coroutine" if asynchronous else "plain"

    async def run() -> tuple[dict[str, Any], dict[str, Any]]:
        answers = await app.call_tool(name, {}, InProcess()), await app.call_tool("own", {}, InProcess())
        release.set()
        return answers

    late, own_ = asyncio.run(run())
    assert (late["isError"], text(late)) == (True, f"Error executing tool {name}: timed out after 0.05 s")
    assert text(own_) == "Error executing tool own"


class TestContext:
    def test_what_it_knows_and_sends(self, make_app: MakeApp) -> None:
        @tool
        async def talk(ctx: Context) -> str:
            """Talk."""
            await ctx.progress(1, 2, "half")
            await ctx.log.info("hello")
            await ctx.log("notice", {"a": 1}, "mine")
            await ctx.tools_changed()
            await ctx.resource_updated("a://b")
            who = ctx.principal.subject if ctx.principal else "nobody"
            return f"{ctx.request_id} {ctx.protocol_version} {who} {ctx.client.samples} {ctx.headers}"

        ann = Principal("bearer", "ann")
        wire = InProcess(request_id=7, principal=ann, client_capabilities={"sampling": {}}, headers={"h": "1"})
        assert value(called(make_app(), "talk", wire)) == {"result": "7 2026-07-28 ann True {'h': '1'}"}
        assert wire.sent == [
            ("progress", {"progress": 1, "total": 2, "message": "half"}),
            ("log", {"level": "info", "data": "hello", "logger": "talk"}),
            ("log", {"level": "notice", "data": {"a": 1}, "logger": "mine"}),
            ("notify", {"method": "notifications/tools/list_changed"}),
            ("notify", {"method": "notifications/resources/updated", "uri": "a://b"}),
        ]

    def test_a_plain_function_sends_by_calling(self, make_app: MakeApp) -> None:
        @tool
        def talk(ctx: Context) -> str:
            """Talk."""
            ctx.progress(1)
            ctx.log.warning("hm")
            ctx.prompts_changed()
            ctx.resources_changed()
            return ""

        wire = InProcess()
        value(called(make_app(), "talk", wire))
        assert [kind for kind, _ in wire.sent] == ["progress", "log", "notify", "notify"]


def test_what_a_tool_prints_and_leaves_behind_is_its_own_business(make_app: MakeApp, capsys: Any) -> None:
    @tool
    def noisy() -> str:
        """Print."""
        print("noise")
        sys.stderr.write("noise")
        return "done"

    assert value(called(make_app(), "noisy")) == {"result": "done"}
    assert capsys.readouterr().out == "noise\n"


def test_a_scope_is_known(make_app: MakeApp) -> None:
    @tool(scopes=["read", "write"])
    def guarded() -> str:
        """Be guarded."""
        return ""

    app = make_app()
    assert app.scopes("guarded") == ("read", "write")
    assert app.scopes("unknown") == ()
    assert registry.current().find_tool(guarded) is not None

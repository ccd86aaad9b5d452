"""The seam: arguments in, results out, and nothing an author writes brings the server down."""

import asyncio
import contextlib
import contextvars
import logging
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.server import MCPServer
from mcp.server.mcpserver.tools.base import Tool
from pydantic import AfterValidator, BaseModel, Field

from mcp_tool import Audio, Context, File, Image, Link, RpcError, Text, ToolError, ToolResult, registry, tool
from mcp_tool.app import App
from mcp_tool.schema import inputs, signature
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


def _strict(a: int, b: list[str], c: Point, d: dict[str, int] | None) -> None: ...


def _inputs() -> inputs.Inputs:
    found = inputs.build("strict", signature.read(_strict)[0].parameters, {})
    assert isinstance(found, inputs.Inputs)
    return found


STRICT = _inputs()


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
        return "no number"  # type: ignore[return-value]

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


class TestArguments:
    def test_bad_ones_are_named_and_never_repeated(self, make_app: MakeApp) -> None:
        @tool
        def strict(number: int, point: Point, choice: Annotated[str, Field(pattern="^a")], rest: list[int]) -> str:
            """Be strict."""
            return ""

        answer = called(make_app(), "strict", number="s3cret", point={"x": "s3cret"}, choice="s3cret", rest="s3cret")
        assert answer["isError"]
        assert text(answer) == (
            "Error executing tool strict: 4 arguments do not fit\n"
            "- number: Input should be a valid integer, unable to parse string as an integer\n"
            "- point.x: Input should be a valid integer, unable to parse string as an integer\n"
            "- choice: String should match pattern '^a'\n"
            "- rest: Input should be a valid list"
        )
        assert text(called(make_app(), "strict")).count("Field required") == 4

    def test_a_validator_that_quotes_a_secret_is_blotted_out(self, make_app: MakeApp) -> None:
        def refuse(given: str) -> str:
            msg = f"not {given}"
            raise ValueError(msg)

        @tool
        def picky(a: Annotated[str, AfterValidator(refuse)]) -> str:
            """Refuse."""
            return a

        app = make_app()
        app._scrub = type(app._scrub)(("s3cret",))
        assert text(called(app, "picky", a="s3cret")).endswith("- a: Value error, not ***")

    def test_json_in_strings(self, make_app: MakeApp) -> None:
        @tool
        def loose(numbers: list[int], point: Point | None, note: str, either: str | list[int], flag: bool) -> str:
            """Take what clients send."""
            return repr((numbers, point, note, either, flag))

        answer = called(
            make_app(), "loose", numbers="[1, 2]", point='{"x": 3}', note='{"x": 3}', either="[1]", flag="true"
        )
        assert value(answer)["result"] == repr(([1, 2], Point(x=3), '{"x": 3}', "[1]", True))

    def test_names_that_pydantic_keeps_for_itself(self, make_app: MakeApp) -> None:
        @tool
        def odd(json: str, model_dump: int, model_config: str, copy: int = 4, größe: int = 1) -> str:  # noqa: PLC2401 - names beyond ASCII are the point
            """Use every name."""
            return f"{json} {model_dump} {model_config} {copy} {größe}"

        app = make_app()
        assert value(called(app, "odd", json="a", model_dump=2, model_config="c", größe=3)) == {"result": "a 2 c 4 3"}
        assert list(app.plans.tools["odd"].definition["inputSchema"]["properties"])[2] == "model_config"

    def test_what_is_not_a_parameter_is_ignored(self, make_app: MakeApp) -> None:
        @tool
        def simple(ctx: Context, a: int = 1) -> str:
            """Take one."""
            return f"{a} {type(ctx).__name__}"

        assert value(called(make_app(), "simple", b=3, ctx="x")) == {"result": "1 Context"}

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=6,
        )
    )
    def test_anything_is_taken_or_refused(self, given_: Any) -> None:
        sent = {"a": given_, "b": given_, "c": given_, "d": given_}
        with contextlib.suppress(inputs.ArgumentsError):
            assert set(STRICT.values(sent)) == set(sent)

    @given(st.text(alphabet="0123456789abcdef", min_size=12).map("secret-{}".format))
    def test_no_text_that_was_sent_comes_back(self, secret: str) -> None:
        with pytest.raises(inputs.ArgumentsError) as raised:
            STRICT.values({"a": secret, "b": secret, "c": {"x": secret}, "d": {secret[:0] or "k": secret}})
        assert secret not in str(raised.value)


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
            return f"{ctx.request_id} {ctx.protocol_version} {ctx.principal} {ctx.client.samples} {ctx.headers}"

        wire = InProcess(request_id=7, principal="ann", client_capabilities={"sampling": {}}, headers={"h": "1"})
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

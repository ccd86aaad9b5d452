"""Resources, resource templates, prompts and completion."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from mcp_tool import (
    AssistantMessage,
    Context,
    File,
    Image,
    ResourceNotFoundError,
    RpcError,
    ToolError,
    UserMessage,
    prompt,
    resource,
)
from mcp_tool.app import App
from mcp_tool.errors import ContractProblem
from mcp_tool.wire import InProcess
from tests.runtime.conftest import MakeApp

Problems = Callable[[], tuple[ContractProblem, ...]]


def read(app: App, uri: str, version: str = "2025-11-25") -> dict[str, Any]:
    return asyncio.run(app.read_resource(uri, InProcess(protocol_version=version)))


def get(app: App, name: str, **arguments: Any) -> dict[str, Any]:
    return asyncio.run(app.get_prompt(name, arguments, InProcess()))


def refused(app: App, uri: str) -> RpcError:
    with pytest.raises(RpcError) as raised:
        read(app, uri)
    assert raised.value.data == {"uri": uri}
    return raised.value


class TestResources:
    def test_what_is_read(self, make_app: MakeApp) -> None:
        @resource("a://text", title="T", annotations={"priority": 0.5}, size=5, meta={"m": 1})
        def one() -> str:
            """Text."""
            return "hello"

        @resource("a://bytes", mime_type="image/png")
        def two() -> bytes:
            """Bytes."""
            return b"\0"

        @resource("a://json")
        async def three(ctx: Context) -> dict[str, Any]:
            """JSON."""
            return {"version": ctx.protocol_version}

        @resource("a://files")
        def four() -> list[File]:
            """Two documents."""
            return [File(text="x"), File(uri="a://other", data=b"y", mime_type="x/y")]

        app = make_app()
        assert read(app, "a://text") == {
            "contents": [{"uri": "a://text", "mimeType": "text/plain", "text": "hello", "_meta": {"m": 1}}]
        }
        blob = base64.b64encode(b"\0").decode()
        assert read(app, "a://bytes")["contents"] == [{"uri": "a://bytes", "mimeType": "image/png", "blob": blob}]
        (document,) = read(app, "a://json")["contents"]
        assert (document["mimeType"], json.loads(document["text"])) == ("application/json", {"version": "2025-11-25"})
        assert [entry["uri"] for entry in read(app, "a://files")["contents"]] == ["a://files", "a://other"]
        assert [plan.mime_type for plan in app.plans.resources.values()] == [
            "text/plain",
            "image/png",
            "application/json",
            "text/plain",
        ]
        assert app.plans.resources["a://text"].definition == {
            "_meta": {"m": 1},
            "annotations": {"priority": 0.5},
            "description": "Text.",
            "mimeType": "text/plain",
            "name": "one",
            "size": 5,
            "title": "T",
            "uri": "a://text",
        }

    def test_newer_versions_are_told_how_long_it_is_fresh(self, make_app: MakeApp) -> None:
        @resource("a://text")
        def one() -> str:
            """Text."""
            return ""

        answer = read(make_app(), "a://text", "2026-07-28")
        assert (answer["ttlMs"], answer["cacheScope"]) == (0, "private")

    def test_templates(self, make_app: MakeApp) -> None:
        @resource("note://{note_id}{?lines}")
        def note(note_id: int, lines: int = 10) -> str:
            """A note."""
            if note_id == 404:
                raise ResourceNotFoundError("There is no note 404.")
            return f"{note_id + 1} {lines}"

        @resource("dir://{+path}")
        def file(path: str) -> str:
            """A file."""
            return path

        @resource("any://{+path}", unchecked=["path"])
        def anything(path: str) -> str:
            """Anything."""
            return path

        app = make_app()
        assert read(app, "note://4")["contents"][0]["text"] == "5 10"
        assert read(app, "note://4?lines=3&more=1")["contents"][0] == {
            "uri": "note://4?lines=3&more=1",
            "mimeType": "text/plain",
            "text": "5 3",
        }
        assert (refused(app, "note://404").code, str(refused(app, "note://404"))) == (-32602, "There is no note 404.")
        for bad in ("note://four", "note://", "note://4/5", "none://"):
            assert (refused(app, bad).code, str(refused(app, bad))) == (-32602, f"Unknown resource: {bad}")
        assert read(app, "dir://a/b%20c")["contents"][0]["text"] == "a/b c"
        for climbing in ("dir://../a", "dir://%2e%2e/a", "dir:///etc", "dir://a%00b", "dir://C:/x"):
            assert refused(app, climbing).code == -32602
        assert read(app, "any://../a")["contents"][0]["text"] == "../a"

    def test_failures(self, make_app: MakeApp) -> None:
        @resource("a://announced")
        def one() -> str:
            """Fail."""
            raise ToolError("closed")

        @resource("a://crash")
        def two() -> str:
            """Crash."""
            raise SystemExit(1)

        @resource("a://rpc")
        def three() -> str:
            """Answer otherwise."""
            raise RpcError(-1, "own", {"uri": "a://rpc"})

        app = make_app()
        assert (refused(app, "a://announced").code, str(refused(app, "a://announced"))) == (-32603, "closed")
        assert str(refused(app, "a://crash")) == "Error reading resource a://crash"
        assert refused(app, "a://rpc").code == -1

    def test_every_problem(self, problems: Problems) -> None:
        @resource("a://{x}/{missing}")
        def one(x: str, extra: str) -> str:
            """One."""
            return x

        @resource("a://{x")
        def two(x: str) -> str:
            """Two."""
            return x

        @resource("a://plain")
        def three(x: str) -> str:
            """Three."""
            return x

        @resource("a://{x}{?q}", complete={"y": ["1"]})
        def four(x: str, q: str) -> str:
            """Four."""
            return x

        whats = [problem.what for problem in problems()]
        assert len(whats) == 6, whats
        assert whats[0] == "parameter 'extra' of 'one' is no variable of 'a://{x}/{missing}'"
        assert whats[1] == "variable 'missing' of 'a://{x}/{missing}' is no parameter of 'one'"
        assert "cannot be read: a brace has no partner" in whats[2]
        assert whats[3] == "parameter 'x' of 'three' is no variable of 'a://plain'"
        assert whats[4] == "{?q} of 'a://{x}{?q}' may be missing, and the parameter has no default"
        assert whats[5] == "complete={'y': …} of 'four' names no variable"


class TestPrompts:
    def test_messages(self, make_app: MakeApp) -> None:
        @prompt(title="T")
        def one(topic: str, tone: str = "kind") -> str:
            """Write.

            Args:
                topic: What about.
            """
            return f"{topic} {tone}"

        @prompt
        async def two() -> list[Any]:
            """Talk."""
            return [
                "plain",
                UserMessage("u"),
                AssistantMessage(Image(data=b"x")),
                {"role": "assistant", "content": "d"},
                {"role": "user", "content": {"type": "text", "text": "w"}},
                File(uri="a://b", text="f"),
                {"other": 1},
            ]

        app = make_app()
        assert app.plans.prompts["one"].definition == {
            "arguments": [
                {"description": "What about.", "name": "topic", "required": True},
                {"name": "tone", "required": False},
            ],
            "description": "Write.",
            "name": "one",
            "title": "T",
        }
        assert get(app, "one", topic="tea") == {
            "description": "Write.",
            "messages": [{"role": "user", "content": {"type": "text", "text": "tea kind"}}],
        }
        messages = get(app, "two")["messages"]
        assert [(message["role"], message["content"]["type"]) for message in messages] == [
            ("user", "text"),
            ("user", "text"),
            ("assistant", "image"),
            ("assistant", "text"),
            ("user", "text"),
            ("user", "resource"),
            ("user", "text"),
        ]
        assert [message["content"].get("text") for message in messages[3:5]] == ["d", "w"]

    def test_failures(self, make_app: MakeApp) -> None:
        @prompt
        def one(count: int) -> str:
            """Write."""
            if count == 1:
                raise ToolError("closed")
            raise ValueError("inner")

        app = make_app()
        for arguments, code, message in (
            ({"count": "s3cret"}, -32602, "count: Input should be a valid integer"),
            ({}, -32602, "count: Field required"),
            ({"count": "1"}, -32603, "closed"),
            ({"count": "2"}, -32603, "Error rendering prompt one"),
        ):
            with pytest.raises(RpcError, match=message) as raised:
                get(app, "one", **arguments)
            assert raised.value.code == code
            assert "s3cret" not in str(raised.value)
            assert "inner" not in str(raised.value)
        with pytest.raises(RpcError, match="Unknown prompt: none") as raised:
            get(app, "none")
        assert raised.value.code == -32602

    def test_problems(self, problems: Problems) -> None:
        @prompt
        def one() -> str:
            return ""

        @prompt(complete={"x": ["a"]})
        def two(y: str) -> str:
            """Two."""
            return y

        assert [problem.what.partition(",")[0] for problem in problems()] == [
            "prompt 'one' has no description",
            "complete={'x': …} of 'two' names no argument",
        ]


class TestCompletion:
    def complete(self, app: App, ref: dict[str, Any], name: str, value: str, **known: str) -> dict[str, Any]:
        argument = {"name": name, "value": value}
        answer: dict[str, Any] = asyncio.run(app.complete(ref, argument, {"arguments": known}))["completion"]
        return answer

    def test_suggestions(self, make_app: MakeApp) -> None:
        async def cities(typed: str, arguments: dict[str, str]) -> list[str]:
            return [f"{typed} in {arguments.get('country')}"]

        def many(typed: str) -> list[int]:
            return list(range(150))

        def crash(typed: str) -> list[str]:
            raise ValueError(typed)

        @prompt(complete={"city": cities, "country": ["Chile", "China", "Peru"], "many": many, "crash": crash})
        def visit(city: str, country: str, many: str, crash: str, free: str) -> str:
            """Visit."""
            return ""

        @resource("a://{x}", complete={"x": ("one", "two")})
        def template(x: str) -> str:
            """Read."""
            return x

        app, ref = make_app(), {"type": "ref/prompt", "name": "visit"}
        assert self.complete(app, ref, "country", "ch")["values"] == ["Chile", "China"]
        assert self.complete(app, ref, "city", "Li", country="Peru")["values"] == ["Li in Peru"]
        found = self.complete(app, ref, "many", "")
        assert (len(found["values"]), found["total"], found["hasMore"]) == (100, 150, True)
        assert self.complete(app, ref, "free", "x") == {"values": [], "total": 0, "hasMore": False}
        assert self.complete(app, {"type": "ref/resource", "uri": "a://{x}"}, "x", "t")["values"] == ["two"]
        with pytest.raises(RpcError, match="Error completing argument crash"):
            self.complete(app, ref, "crash", "secret")
        for unknown in ({"type": "ref/prompt", "name": "none"}, {"type": "ref/resource", "uri": "none"}):
            with pytest.raises(RpcError) as raised:
                self.complete(app, unknown, "x", "")
            assert raised.value.code == -32602

"""The short way of plain calls: to the byte what the SDK's transport answers, and only for calls that are plain.

A header that stands there twice is harmless and not plain: the same request with one goes the SDK's way, on the same
server, so that the two ways are held against each other.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_tool.serve.http import plain
from tests.serve.process import ENVELOPE, JSON, LEGACY, MODERN, HttpServer, http_server, make_bundle

SOURCE = '''
import asyncio
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from mcp_tool import Ask, Context, InputRequired, RpcError, ToolError, tool


class Name(BaseModel):
    name: str


@tool
async def echo(text: str, times: int = 1) -> str:
    """Give a text back."""
    return text * times


@tool
def plain(value: Any) -> dict[str, Any]:
    """Give any value back, from a thread."""
    return {"value": value, "none": None}


@tool
async def steps(ctx: Context, count: int) -> str:
    """Tell of every step."""
    for number in range(count):
        await ctx.progress(number, count, f"step {number} \\u2713")
    return "done"


@tool
async def says(ctx: Context) -> str:
    """Log at every level."""
    for level in ("debug", "info", "warning", "error"):
        await ctx.log(level, {"at": level, "text": "caf\\u00e9"}, "tool")
    return "said"


@tool
async def seen(ctx: Context) -> dict[str, Any]:
    """What a call can see of its request."""
    return {
        "id": ctx.request_id,
        "version": ctx.protocol_version,
        "agent": (ctx.headers or {}).get("user-agent"),
        "client": [ctx.client.elicits, ctx.client.samples, ctx.client.lists_roots],
        "principal": ctx.principal,
    }


@tool
async def raises(kind: str) -> str:
    """Fail in one way or another."""
    match kind:
        case "tool":
            raise ToolError("it does not work \\u2717")
        case "rpc":
            raise RpcError(-32042, "not like this", {"why": [1, None]})
        case "rpc without data":
            raise RpcError(-32602, "not like this")
        case "exit":
            raise SystemExit(3)
    raise ValueError("secret details")


@tool
async def asks(ctx: Context) -> str | InputRequired:
    """Ask by hand, with a state that is to come back."""
    if ctx.state is None:
        return InputRequired({"who": Ask("Who?", Name)}, state="kept")
    return f"{ctx.state} for {ctx.answers['who']['content']['name']}"


@tool
async def routed(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """A call that is routed by one of its arguments."""
    return region


@tool
async def waits(folder: Path) -> str:
    """Wait until cancelled."""
    (folder / "begun").touch()
    try:
        await asyncio.Event().wait()
    finally:
        (folder / "cancelled").touch()
    return "never"
'''


CALLS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "text": ("echo", {"text": "a \u2713 \U0001f600 \x7f \u2028", "times": 2}, {}),
    "no arguments": ("says", None, {}),
    "wrong arguments": ("echo", {"text": 1, "times": "many"}, {}),
    "an unknown argument": ("echo", {"text": "x", "more": 1}, {}),
    "any value": ("plain", {"value": {"deep": [None, 1.5, True, "\u00e9", {}]}}, {}),
    "a value that is no number": ("plain", {"value": float("nan")}, {}),
    "progress": ("steps", {"count": 3}, {"progressToken": "p"}),
    "progress, token zero": ("steps", {"count": 1}, {"progressToken": 0}),
    "progress that nobody asked for": ("steps", {"count": 3}, {}),
    "log, a level asked for": ("says", {}, {"io.modelcontextprotocol/logLevel": "info"}),
    "what it sees": ("seen", {}, {"other/key": {"x": 1}}),
    "what the author raised": ("raises", {"kind": "tool"}, {}),
    "a protocol error": ("raises", {"kind": "rpc"}, {}),
    "a protocol error without data": ("raises", {"kind": "rpc without data"}, {}),
    "an exit": ("raises", {"kind": "exit"}, {}),
    "a crash": ("raises", {"kind": "crash"}, {}),
    "a routed call": ("routed", {"region": "north"}, {}),
    "an unknown tool": ("nothing", {}, {}),
    "a question": ("asks", {}, {}),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    with http_server(make_bundle(tmp_path_factory.mktemp("direct") / "bundle", SOURCE)) as running:
        yield running


def request(era: str, name: str, arguments: Any, meta: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    """Headers and body of a call as a client of that era sends it."""
    params: dict[str, Any] = {"name": name, "arguments": arguments, "_meta": dict(meta)}
    headers = {**JSON, "mcp-protocol-version": era, "user-agent": "direct"}
    if era == MODERN:
        headers |= {"mcp-method": "tools/call", "mcp-name": name}
        params["_meta"] |= ENVELOPE
    if arguments is None:
        del params["arguments"]
    return headers, json.dumps({"jsonrpc": "2.0", "id": "seven", "method": "tools/call", "params": params}).encode()


def send(
    server: HttpServer, headers: Mapping[str, str], body: bytes, *, twice: bool = False
) -> tuple[int, str, list[bytes]]:
    """Status, media type and messages of the answer; with a harmless header `twice`, of the SDK's own."""
    connection = server.connection()
    connection.putrequest("POST", "/mcp", skip_accept_encoding=True)
    for name, value in [*headers.items(), ("content-length", str(len(body))), *[("x-harmless", "1")] * (1 + twice)]:
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    text, kind = answer.read(), answer.getheader("content-type", "")
    connection.close()
    if not kind.startswith("text/event-stream"):
        return answer.status, kind, [text]
    lines = [line for line in text.splitlines() if line.startswith(b"data: ")]
    return answer.status, "text/event-stream", [line.removeprefix(b"data: ") for line in lines]


@pytest.mark.parametrize("era", [LEGACY, "2025-03-26", "2024-11-05", MODERN])
@pytest.mark.parametrize("case", CALLS)
def test_both_ways_answer_the_same_to_the_byte(server: HttpServer, era: str, case: str) -> None:
    headers, body = request(era, *CALLS[case])
    status, kind, messages = send(server, headers, body)
    status_of_sdk, kind_of_sdk, messages_of_sdk = send(server, headers, body, twice=True)
    if case == "a question" and era == MODERN:
        # Sealed with a nonce: never the same twice.
        messages, messages_of_sdk = [_unsealed(messages)], [_unsealed(messages_of_sdk)]
    assert (status, messages) == (status_of_sdk, messages_of_sdk)
    if era == MODERN:
        assert kind == kind_of_sdk
    else:
        # What shows that there are two ways: the SDK's transport begins a stream for every call of the older era.
        stays = case in {"an unknown tool", "a routed call"} or len(messages) > 1
        assert (kind, kind_of_sdk) == ("text/event-stream" if stays else "application/json", "text/event-stream")


@pytest.mark.parametrize("era", [LEGACY, "2024-11-05", MODERN])
@pytest.mark.parametrize("method", [*sorted(plain.ASKED), "tools/list with a cursor", "prompts/get"])
def test_both_ways_answer_a_question_the_same_to_the_byte(server: HttpServer, era: str, method: str) -> None:
    method, cursor, _ = method.partition(" with a cursor")
    headers, body = question(era, method, {"cursor": "x"} if cursor else {})
    ours, theirs = send(server, headers, body), send(server, headers, body, twice=True)
    assert (ours[0], ours[2]) == (theirs[0], theirs[2])
    if era != MODERN:
        kept = not cursor and method in plain.ASKED - {"server/discover"}
        assert (ours[1], theirs[1]) == ("application/json" if kept else "text/event-stream", "text/event-stream")


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("echo", {"text": "x"}), ("raises", {"kind": "tool"}), ("raises", {"kind": "rpc"}), ("echo", {}), (None, None)],
)
def test_both_ways_are_written_down_alike(server: HttpServer, era: str, name: str | None, arguments: Any) -> None:
    if name is None:
        headers, body = question(era, "tools/list", {})
    else:
        headers, body = request(era, name, arguments, {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    before = len(written(server))
    send(server, headers, body)
    send(server, headers, body, twice=True)
    until(lambda: len(written(server)) == before + 2)
    ours, theirs = written(server)[-2:]
    assert ours == theirs
    assert ours["protocol"] == era


def written(server: HttpServer) -> list[dict[str, Any]]:
    """The lines of requests, without what no two requests share."""
    apart = {"ts", "request_id", "duration_ms"}
    lines = [line for line in server.lines() if line["msg"] == "request"]
    return [{key: value for key, value in line.items() if key not in apart} for line in lines]


def question(era: str, method: str, params: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    """Headers and body of another request."""
    headers, body = request(era, "", None, {})
    document = json.loads(body)
    document["method"] = method
    document["params"] = {"_meta": document["params"]["_meta"], **params}
    headers.pop("mcp-name", None)
    if era == MODERN:
        headers["mcp-method"] = method
    return headers, json.dumps(document).encode()


def _unsealed(messages: list[bytes]) -> bytes:
    document = json.loads(messages[-1])
    assert len(document["result"].pop("requestState")) > 40
    return json.dumps(document).encode()


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(value=_VALUES, era=st.sampled_from([LEGACY, MODERN]))
def test_both_ways_answer_the_same_whatever_the_value(server: HttpServer, value: Any, era: str) -> None:
    headers, body = request(era, "plain", {"value": value}, {})
    ours, theirs = send(server, headers, body), send(server, headers, body, twice=True)
    assert (ours[0], ours[2]) == (theirs[0], theirs[2])


@pytest.mark.parametrize("era", [LEGACY, MODERN])
def test_large_calls_come_in_one_piece_with_their_head(server: HttpServer, era: str) -> None:
    headers, body = request(era, "echo", {"text": "x" * 1_000_000}, {})
    fixed = {"host": "localhost", **headers, "content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fixed.items())
    whole = f"POST /mcp HTTP/1.1\r\n{lines}\r\n".encode() + body
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for _ in range(3):
            connection.sendall(whole)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert (answer.status, len(answer.read()) > 1_000_000) == (200, True)


def test_a_state_sealed_on_one_way_is_opened_on_the_other(server: HttpServer) -> None:
    state = server.modern("tools/call", {"name": "asks", "arguments": {}})["result"]["requestState"]
    answers = {"who": {"action": "accept", "content": {"name": "Ada"}}}
    again = {"name": "asks", "arguments": {}, "inputResponses": answers, "requestState": state}
    assert server.modern("tools/call", again)["result"]["content"][0]["text"] == "kept for Ada"


ODD: dict[str, Callable[[dict[str, str], dict[str, Any]], object]] = {
    "no accept": lambda head, _: head.pop("accept"),
    "only JSON accepted": lambda head, _: head.update(accept="application/json"),
    "anything accepted": lambda head, _: head.update(accept="*/*"),
    "another content type": lambda head, _: head.update({"content-type": "text/plain"}),
    "no content type": lambda head, _: head.pop("content-type"),
    "content type with a charset": lambda head, _: head.update({"content-type": "application/json; charset=utf-8"}),
    "no version": lambda head, _: head.pop("mcp-protocol-version"),
    "a version from tomorrow": lambda head, _: head.update({"mcp-protocol-version": "2099-01-01"}),
    "another name": lambda head, _: head.update({"mcp-name": "steps"}),
    "the name in base64": lambda head, _: head.update({"mcp-name": "=?base64?ZWNobw==?="}),
    "no name": lambda head, _: head.pop("mcp-name", None),
    "another method": lambda head, _: head.update({"mcp-method": "tools/list"}),
    "a header for an argument": lambda head, _: head.update({"mcp-param-text": "x"}),
    "no id": lambda _, body: body.pop("id"),
    "id null": lambda _, body: body.update(id=None),
    "id true": lambda _, body: body.update(id=True),
    "id a fraction": lambda _, body: body.update(id=1.5),
    "an old JSON-RPC": lambda _, body: body.update(jsonrpc="1.0"),
    "a field too many": lambda _, body: body.update(more=1),
    "a parameter too many": lambda _, body: body["params"].update(more=1),
    "params a list": lambda _, body: body.update(params=[1]),
    "no params": lambda _, body: body.pop("params"),
    "arguments a list": lambda _, body: body["params"].update(arguments=[1]),
    "arguments null": lambda _, body: body["params"].update(arguments=None),
    "name a number": lambda _, body: body["params"].update(name=1),
    "meta a list": lambda _, body: body["params"].update(_meta=[1]),
    "no meta": lambda _, body: body["params"].pop("_meta"),
    "another version in the body": lambda _, body: body["params"]["_meta"].update(
        {"io.modelcontextprotocol/protocolVersion": LEGACY}
    ),
    "capabilities a number": lambda _, body: body["params"]["_meta"].update(
        {"io.modelcontextprotocol/clientCapabilities": 1}
    ),
    "progress token an object": lambda _, body: body["params"]["_meta"].update(progressToken={}),
    "another JSON-RPC method": lambda _, body: body.update(method="tools/list"),
}


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_is_the_sdks_to_judge(server: HttpServer, era: str, case: str) -> None:
    headers, body = request(era, "echo", {"text": "x"}, {})
    document = json.loads(body)
    ODD[case](headers, document)
    body = json.dumps(document).encode()
    ours, theirs = send(server, headers, body), send(server, headers, body, twice=True)
    assert (ours[0], ours[2]) == (theirs[0], theirs[2])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"id": 1' + b"0" * 5000 + b"}"])
@pytest.mark.parametrize("era", [LEGACY, MODERN])
def test_what_is_no_message_is_the_sdks_to_judge(server: HttpServer, era: str, body: bytes) -> None:
    headers, _ = request(era, "echo", {"text": "x"}, {})
    assert send(server, headers, body) == send(server, headers, body, twice=True)


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize(
    ("case", "is_plain"),
    [
        ("nothing changed", True),
        ("content type with a charset", True),
        ("a header for an argument", False),
        ("the name in base64", False),
        ("anything accepted", False),
        ("a parameter too many", False),
        ("id true", False),
        ("another JSON-RPC method", False),
        ("capabilities a number", False),
    ],
)
def test_which_calls_are_plain(era: str, case: str, is_plain: bool) -> None:
    headers, body = request(era, "echo", {"text": "x"}, {})
    document = json.loads(body)
    if case in ODD:
        ODD[case](headers, document)
    head = plain.head([(name.encode(), value.encode()) for name, value in headers.items()])
    found = None if head is None else plain.read(head, json.dumps(document).encode(), {"echo"})
    # What routes a call of the newer era is nothing to the older one.
    unseen = era == LEGACY and case in {"a header for an argument", "the name in base64", "capabilities a number"}
    assert (found is not None) is (is_plain or unseen)


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize("token", [True, False])
def test_a_client_that_leaves_ends_its_call(server: HttpServer, tmp_path: Path, era: str, token: bool) -> None:
    headers, body = request(era, "waits", {"folder": str(tmp_path)}, {"progressToken": 1} if token else {})
    connection: http.client.HTTPConnection = server.connection()
    connection.request("POST", "/mcp", body, headers)
    until((tmp_path / "begun").exists)
    assert not (tmp_path / "cancelled").exists()
    connection.close()
    until((tmp_path / "cancelled").exists)
    assert server.modern("tools/call", {"name": "echo", "arguments": {"text": "x"}})["result"]["isError"] is False


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)

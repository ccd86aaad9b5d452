from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from mcp_packager.errors import UsageError, WorldError
from mcp_packager.verify import Era, McpClient, RefusedError, RpcError, UnreachableError, texts
from mcp_packager.verify.exchange import events
from mcp_packager.verify.headers import header_value, parameter_headers
from mcp_targets.local.supervisor.machine import bound, port_of
from tests.verify.conftest import Answer, as_json, stub


@pytest.mark.parametrize("era", Era)
def test_speaks_with_the_sdk(sdk_url: str, era: Era) -> None:
    client = McpClient(sdk_url, era=era)
    assert client.discover()
    assert [tool["name"] for tool in client.list_tools()] == ["add", "greet_ünï", "count", "fail"]
    answer = client.call_tool("add", {"a": 1, "b": 2})
    assert answer["structuredContent"] == {"result": 3}
    assert texts(client.call_tool("greet_ünï", {"name": "you"})) == "hello you"
    assert client.call_tool("fail", {})["isError"] is True
    assert [item["uri"] for item in client.list_all("resources/list", "resources")] == ["note://today"]
    assert client.request("resources/read", {"uri": "note://today"})["contents"][0]["text"] == "nothing"


@pytest.mark.parametrize("era", Era)
def test_progress_comes_through_where_the_server_sends_it(
    sdk_url: str, era: Era, request: pytest.FixtureRequest
) -> None:
    told: list[tuple[float, float | None, str | None]] = []
    client = McpClient(sdk_url, era=era)
    answer = client.call_tool("count", {"to": 3}, on_progress=lambda *step: told.append(step))
    assert texts(answer) == "done"
    if "json" not in request.node.callspec.params["sdk_url"]:
        assert told == [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]


def test_connect_takes_the_newest_era(sdk_url: str) -> None:
    assert McpClient.connect(sdk_url).era is Era.MODERN


def test_connect_falls_back_to_the_legacy_era() -> None:
    def old(_: str, __: str, headers: dict[str, str], body: bytes) -> Answer:
        message = json.loads(body)
        if message["method"] == "initialize":
            return as_json({"jsonrpc": "2.0", "id": message["id"], "result": {"protocolVersion": "2025-06-18"}})
        if message["method"] == "notifications/initialized":
            assert headers["mcp-protocol-version"] == "2025-06-18"
            return 202, {}, b""
        return as_json({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no session"}}, 400)

    with stub(old) as url:
        assert McpClient.connect(f"{url}/mcp").era is Era.LEGACY


def test_an_unknown_method_is_the_servers_word(sdk_url: str) -> None:
    with pytest.raises(RpcError) as caught:
        McpClient(sdk_url).request("no/such", {})
    assert caught.value.code == -32601


def test_pages_are_followed_and_circles_noticed() -> None:
    pages: dict[str | None, Any] = {
        None: {"tools": [{"name": "a"}], "nextCursor": "two"},
        "two": {"tools": [{"name": "b"}]},
    }

    def paged(_: str, __: str, ___: dict[str, str], body: bytes) -> Answer:
        message = json.loads(body)
        return as_json({"jsonrpc": "2.0", "id": message["id"], "result": pages[message["params"].get("cursor")]})

    with stub(paged) as url:
        assert [tool["name"] for tool in McpClient(url).list_tools()] == ["a", "b"]
        pages["two"] = {"tools": [], "nextCursor": "two"}
        with pytest.raises(WorldError, match="again and again"):
            McpClient(url).list_tools()


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (401, {"www-authenticate": "Bearer"}, "asks who is calling"),
        (403, {}, "does not allow this caller"),
        (403, {"www-authenticate": 'Bearer error="insufficient_scope", scope="x"'}, "more scopes"),
        (404, {}, "has nothing at this path"),
        (421, {}, "does not answer to this host name"),
        (503, {}, "too busy or not ready"),
        (500, {}, "refused the request"),
        (307, {"location": "http://elsewhere/"}, "redirects to http://elsewhere/"),
    ],
)
def test_each_refusal_says_what_it_means(status: int, headers: dict[str, str], said: str) -> None:
    with stub(lambda *_: (status, headers, b"")) as url, pytest.raises(RefusedError) as caught:
        McpClient.connect(f"{url}/mcp")
    assert said in str(caught.value)
    assert caught.value.status == status


def test_nobody_listens() -> None:
    with bound("127.0.0.1", 0) as quiet, pytest.raises(UnreachableError, match="nothing listens"):
        McpClient(f"http://127.0.0.1:{port_of(quiet)}/mcp").discover()


def test_what_is_not_mcp() -> None:
    page = (200, {"content-type": "text/html"}, b"<h1>It works!</h1>")
    with stub(lambda *_: page) as url, pytest.raises(WorldError, match="does not speak MCP"):
        McpClient(url).discover()


def test_an_answer_that_does_not_come_in_time() -> None:
    hold = threading.Event()

    def slow(*_: Any) -> Answer:
        hold.wait(10)
        return as_json({})

    with stub(slow) as url:
        try:
            with pytest.raises(UnreachableError, match=r"within 0\.2 s"):
                McpClient(url, timeout=0.2).discover()
        finally:
            hold.set()


def test_a_stream_that_ends_without_an_answer() -> None:
    note = b'event: message\ndata: {"jsonrpc": "2.0", "method": "notifications/message"}\n\n'
    with (
        stub(lambda *_: (200, {"content-type": "text/event-stream"}, note)) as url,
        pytest.raises(WorldError, match="without a result"),
    ):
        McpClient(url).discover()


@pytest.mark.parametrize("url", ["", "mcp", "ftp://host/", "http://", "http://host:99999/", "http://[::1"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(UsageError, match="not a URL"):
        McpClient(url)


def test_events_of_a_stream() -> None:
    lines = [b": ping", b"", b"id: 7", b"data:one", b"data: two", b"", b"data", b"", b"event: x", b"data: last"]
    assert list(events(iter(lines))) == [b"one\ntwo", b"last"]


def test_values_that_headers_cannot_hold_are_wrapped_as_the_sdk_wraps_them() -> None:
    from mcp.shared.inbound import encode_header_value

    for value in ["plain", "two words", " edge", "ünï", "=?base64?eA==?=", "a\nb", "", "x"]:
        assert header_value(value) == encode_header_value(value), value


def test_arguments_that_are_told_in_headers_too() -> None:
    from mcp.shared.inbound import mcp_param_headers, x_mcp_header_map

    schema = {
        "type": "object",
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "dry": {"type": "boolean", "x-mcp-header": "Dry"},
            "size": {"type": "number", "x-mcp-header": "Size"},
            "inner": {"type": "object", "properties": {"who": {"type": "string", "x-mcp-header": "Who"}}},
            "plain": {"type": "string"},
        },
    }
    arguments = {"region": "eü", "dry": True, "size": 1.5, "inner": {"who": "me"}, "plain": "x"}
    assert parameter_headers(schema, arguments) == mcp_param_headers(x_mcp_header_map(schema), arguments)
    assert parameter_headers(schema, {"plain": "x"}) == {}


def counted(allowed: int, wait: str) -> Any:
    """A server that lets a few requests through and says of the others to come again."""
    seen = iter(range(1_000_000))

    def answer(_: str, __: str, ___: dict[str, str], body: bytes) -> Answer:
        if next(seen) < allowed:
            return 429, {"retry-after": wait}, b"{}"
        return as_json({"jsonrpc": "2.0", "id": json.loads(body)["id"], "result": {"tools": []}})

    return answer


def test_it_waits_where_it_is_told_to_as_long_as_it_is_patient() -> None:
    with stub(counted(3, "0")) as url:
        assert McpClient(f"{url}/mcp", patience=1).list_tools() == []
    for wait in ("0", "2", "soon", ""):
        with stub(counted(1000, wait)) as url, pytest.raises(RefusedError) as caught:
            McpClient(f"{url}/mcp", patience=1).list_tools()
        assert caught.value.status == 429
    with stub(counted(1, "0")) as url, pytest.raises(RefusedError):
        McpClient(f"{url}/mcp").list_tools()


def test_it_waits_also_to_say_that_it_is_there() -> None:
    refused = iter([False, True, False, False])

    def answer(_: str, __: str, ___: dict[str, str], body: bytes) -> Answer:
        if next(refused):
            return 429, {"retry-after": "0"}, b"{}"
        result = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {}, "tools": []}
        return as_json({"jsonrpc": "2.0", "id": json.loads(body).get("id"), "result": result})

    with stub(answer) as url:
        assert McpClient(f"{url}/mcp", era=Era.LEGACY, patience=1).list_tools() == []
    assert next(refused, None) is None

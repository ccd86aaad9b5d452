"""Log, audit and metrics of a call are the same whoever answers: the app, a double, a server of the SDK's."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from mcp_tool.errors import RpcError
from mcp_tool.principal import Principal
from mcp_tool.record import CURRENT, Record
from mcp_tool.serve.observe.audit import Audit, Audited
from mcp_tool.serve.observe.calls import Calls
from mcp_tool.serve.observe.metrics import Metrics
from mcp_tool.serve.observe.redact import Redaction
from mcp_tool.wire import InProcess
from tests.serve.process import LEGACY, MODERN
from tests.serve.seen import KINDS, Watched, bundle_of, wait_for, watched

KEY = "caller-key-" + "k" * 32


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp(request.param.name)
    (folder / "key").write_text(KEY, encoding="utf-8")
    config = {
        "release": "7",
        "stage": "prod",
        "metrics": {"host": "127.0.0.1", "port": 0},
        "log": {"audit": "stderr"},
        "serve": {"auth": {"mode": "bearer", "keys": [{"file": str(folder / "key")}]}},
    }
    with watched(bundle_of(folder / "bundle", request.param), request.param, config) as found:
        yield found


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run an async test to its end."""

    @functools.wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


def asked(server: Watched, name: str, identity: str, *, era: str = MODERN, key: str = KEY, **arguments: Any) -> None:
    """Call a tool under a request id."""
    call = server.call if era == MODERN else server.older
    call(name, arguments, **{"x-request-id": identity, "authorization": f"Bearer {key}"})


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_one_line_tells_of_a_call(server: Watched, era: str) -> None:
    asked(server, "add", f"line-{era}", era=era, a=1)
    line = server.line(f"line-{era}", msg="request")
    told = {
        "level": "info",
        "service": "seen",
        "version": "1.2.3",
        "transport": "http",
        "method": "tools/call",
        "tool": "add",
        "protocol": era,
        "status": 200,
        "outcome": "ok",
    }
    assert told.items() <= line.items()
    assert line["duration_ms"] > 0
    assert len(line["principal"]) == 12
    assert "error_type" not in line
    if era == MODERN:
        assert line["client"] == "test/1"
    wait_for(lambda: server.line(f"line-{era}", stream="audit"))
    lines = [
        one for one in server.server.lines() if one.get("request_id") == f"line-{era}" and one.get("msg") == "request"
    ]
    assert len(lines) == 1


@pytest.mark.parametrize("tool", ["fail", "crash", "slow"])
def test_an_answer_that_is_an_error_counts_as_one(server: Watched, tool: str) -> None:
    kind = server.kind.failures()[tool]
    before = server.value("mcp_tool_calls_total", gen_ai_tool_name=tool)
    asked(server, tool, f"failed-{tool}")
    line = server.line(f"failed-{tool}", msg="request")
    assert (line["status"], line["outcome"], line["error_type"]) == (200, "error", kind)
    assert line["level"] == ("warning" if kind in {"crash", "timeout"} else "info")
    assert server.value("mcp_tool_calls_total", gen_ai_tool_name=tool) == before + 1
    assert server.value("mcp_tool_errors_total", gen_ai_tool_name=tool, error_type=kind) == before + 1
    labels = {"mcp_method_name": "tools/call", "gen_ai_tool_name": tool, "error_type": kind}
    assert server.value("mcp_server_operation_duration_seconds_count", **labels) == before + 1


def test_durations_fall_into_the_buckets_of_the_conventions(server: Watched) -> None:
    asked(server, "add", "bucket", a=1)
    labels = {"mcp_method_name": "tools/call", "gen_ai_tool_name": "add"}
    found = {
        float(dict(key[1])["le"]): value
        for key, value in server.samples().items()
        if key[0] == "mcp_server_operation_duration_seconds_bucket"
        and labels.items() <= dict(key[1]).items()
        and "error_type" not in dict(key[1])
    }
    assert list(found) == [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, float("inf")]
    assert sorted(found.values()) == list(found.values())
    assert found[float("inf")] == server.value("mcp_server_operation_duration_seconds_count", **labels)


def test_calls_in_flight_are_seen_and_those_left_are_no_errors(server: Watched) -> None:
    def held() -> float:
        return server.value("mcp_tool_calls_in_flight", gen_ai_tool_name="hold")

    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "hold", "arguments": {}}}
    connection = server.server.connection()
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    headers |= {"mcp-protocol-version": LEGACY, "authorization": f"Bearer {KEY}", "x-request-id": "held"}
    assert held() == 0
    connection.request("POST", "/mcp", json.dumps(message), headers)
    wait_for(lambda: held() == 1 or None)
    if server.kind.name == "wrapped":
        connection.getresponse().read()  # the SDK does not look whether an older client is still there
        connection.close()
        wait_for(lambda: held() == 0 or None)
        return
    connection.close()
    wait_for(lambda: held() == 0 or None)
    assert server.line("held", msg="request")["outcome"] == "gone"
    assert server.line("held", stream="audit")["outcome"] == "gone"
    left = {key: value for key, value in server.samples().items() if ("gen_ai_tool_name", "hold") in key[1]}
    assert left["mcp_tool_calls_total", frozenset({("gen_ai_tool_name", "hold")})] == 1
    assert all(value == 0 for key, value in left.items() if key[0] == "mcp_tool_errors_total")


def test_names_that_clients_make_up_become_no_label(server: Watched) -> None:
    asked(server, "nope", "made-up")
    before = server.samples().keys()
    for number in range(20):
        asked(server, f"made-up-{number}", f"made-up-{number}")
        server.server.legacy(f"made/up/{number}", {}, authorization=f"Bearer {KEY}")
    now = {key for key in server.samples() if ("mcp_method_name", "_OTHER") not in key[1]}
    assert now <= before
    assert "made-up" not in server.text()
    assert server.value("mcp_tool_calls_total") == 21
    line = server.line("made-up", msg="request")
    assert "tool" not in line
    assert line["error_type"] == "unknown_tool"
    assert server.line("made-up", stream="audit")["tool"] == ""


def test_the_audit_stream_tells_who_called_what_and_how_it_ended(server: Watched) -> None:
    asked(server, "add", "audited", a=1, b=2)
    entry = server.line("audited", stream="audit")
    line = server.line("audited", msg="request")
    told = {
        "service": "seen",
        "version": "1.2.3",
        "release": "7",
        "stage": "prod",
        "method": "tools/call",
        "tool": "add",
        "decision": "allowed",
        "outcome": "ok",
        "error_type": "",
    }
    assert told.items() <= entry.items()
    assert entry["who"]["kind"] == "bearer"
    assert entry["who"]["id"] == line["principal"]
    contract = {tool["name"]: tool["sha256"] for tool in server.contract["tools"]}
    assert entry["tool_sha256"] == contract["add"]
    assert KEY not in server.server.log.read_text(encoding="utf-8")


def test_equal_arguments_have_equal_digests_whatever_the_secrets_in_them(server: Watched) -> None:
    given: list[dict[str, Any]] = [{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3}]
    given += [{"a": 1, "b": 3, "password": "x"}, {"a": 1, "b": 3, "password": "y"}]
    for number, arguments in enumerate(given):
        asked(server, "add", f"digest-{number}", **arguments)
    digests = [server.line(f"digest-{number}", stream="audit")["arguments"] for number in range(5)]
    assert digests[0] == digests[1]
    assert digests[3] == digests[4]
    assert len(set(digests)) == 3
    assert all(digest.startswith("hmac-sha256:") for digest in digests)


def test_who_is_refused_is_counted_logged_and_audited(server: Watched) -> None:
    before = server.value("mcp_server_rejections_total", reason="unauthenticated")
    assert server.status("add", authorization="Bearer wrong", **{"x-request-id": "refused"}) == 401
    assert server.value("mcp_server_rejections_total", reason="unauthenticated") == before + 1
    line = server.line("refused", msg="request")
    assert (line["status"], line["outcome"], line["refused"]) == (401, "refused", "unauthenticated")
    entry = server.line("refused", stream="audit")
    assert (entry["decision"], entry["reason"]) == ("refused", "unauthenticated")
    assert entry["who"] == {"kind": "anonymous", "address": "127.0.0.1"}


def test_health_is_not_told_of(server: Watched) -> None:
    for path in ("/healthz", "/readyz"):
        assert server.server.request("GET", path, headers={"x-request-id": "health"})[0] == 200
    asked(server, "add", "after-health", a=1)
    server.line("after-health", msg="request")
    assert not [line for line in server.server.lines() if line.get("request_id") == "health"]


def test_other_requests_are_counted_by_method(server: Watched) -> None:
    def listed() -> float:
        found = server.samples()
        return found.get(
            ("mcp_server_operation_duration_seconds_count", frozenset({("mcp_method_name", "tools/list")})), 0
        )

    before = listed()
    for era in (server.server.legacy, server.server.modern):
        era("tools/list", {}, authorization=f"Bearer {KEY}", **{"x-request-id": "listing"})
    wait_for(lambda: listed() == before + 2 or None)
    assert server.line("listing", msg="request")["method"] == "tools/list"


@on_a_loop
async def test_a_caller_without_the_scopes_of_a_tool_is_refused_at_the_seam() -> None:
    metrics = Metrics(["open", "closed"], {})
    calls = Calls({"open": frozenset(), "closed": frozenset({"a", "b"})}, metrics)

    async def answer() -> dict[str, object]:
        return {"content": []}

    def wire(*scopes: str) -> InProcess:
        return InProcess(record=Record(principal=Principal("jwt", "you", scopes=frozenset(scopes))))

    assert await calls("open", {}, wire(), answer) == {"content": []}
    assert await calls("closed", {}, wire("a", "b", "c"), answer) == {"content": []}
    refused = wire("a")
    with pytest.raises(RpcError) as raised:
        await calls("closed", {}, refused, answer)
    assert raised.value.data == {"scopes": ["a", "b"]}
    assert refused.record is not None
    assert (refused.record.outcome, refused.record.refused) == ("refused", "forbidden")
    assert metrics.rejections["forbidden"] == 1
    assert metrics.tools["closed"].calls == 1


@on_a_loop
async def test_a_tool_that_nobody_announced_is_known_once_it_has_answered() -> None:
    metrics = Metrics([], {})
    calls = Calls(None, metrics)

    async def works() -> dict[str, object]:
        return {"content": []}

    async def fails() -> dict[str, object]:
        return {"content": [], "isError": True}

    await calls("made up", {}, InProcess(record=Record()), fails)
    assert list(metrics.tools) == []
    await calls("real", {}, InProcess(record=Record()), works)
    await calls("real", {}, InProcess(record=Record()), fails)
    assert metrics.tools["real"].calls == 2
    assert metrics.unknown.calls == 1


@on_a_loop
async def test_a_broken_audit_stream_takes_no_answer_away() -> None:
    def broken(_: object) -> None:
        raise ConnectionError

    audit = Audit(broken, {}, (), {"t": Audited("hash", Redaction({}))})
    calls = Calls({"t": frozenset()}, None, audit)

    async def works() -> dict[str, Any]:
        return {"content": []}

    assert await calls("t", {}, InProcess(record=Record()), works) == {"content": []}
    calls.seen(Record(refused="rate", status=429))


@on_a_loop
async def test_nothing_of_a_call_is_left_behind() -> None:
    calls = Calls({"t": frozenset()}, Metrics(["t"], {}))

    async def breaks() -> dict[str, object]:
        assert CURRENT.get() is not None
        raise KeyError

    with pytest.raises(KeyError):
        await calls("t", {}, InProcess(record=Record()), breaks)
    assert CURRENT.get() is None
    assert calls.metrics is not None
    assert calls.metrics.tools["t"].in_flight == 0
    assert list(calls.metrics.tools["t"].durations) == ["", "-32603"]


def test_a_line_is_one_line_whatever_is_called_at_once(server: Watched) -> None:
    def many(worker: int) -> None:
        for number in range(10):
            asked(server, "add", f"at-once-{worker}-{number}", a=number)

    workers = [threading.Thread(target=many, args=(worker,)) for worker in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    wanted = {f"at-once-{worker}-{number}" for worker in range(8) for number in range(10)}
    wait_for(
        lambda: (
            wanted
            == {
                line["request_id"]
                for line in server.server.lines()
                if line.get("msg") == "request" and line.get("request_id", "").startswith("at-once-")
            }
            or None
        )
    )

"""Traces, metrics and the audit stream as a collector gets them from a real server, over the real exporter."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.serve.collector import Collector, collector, plain
from tests.serve.process import ENVELOPE, LEGACY, MODERN, stdio_server
from tests.serve.seen import KINDS, Watched, bundle_of, watched

HTTP = "a" * 32, "b" * 16
META = "c" * 32, "d" * 16
OK, ERROR = 0, 2

Start = Callable[..., AbstractContextManager[Watched]]


def traceparent(ids: tuple[str, str], *, sampled: bool = True) -> str:
    return f"00-{ids[0]}-{ids[1]}-0{int(sampled)}"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_of(tmp_path_factory.mktemp("tracing") / "bundle", KINDS[0])


@pytest.fixture
def serve(bundle: Path, tmp_path: Path) -> Start:
    """Serve the bundle, each time in a place of its own, with its telemetry sent to a URL."""

    def start(url: str, env: dict[str, str] | None = None, sample: float = 1.0, **config: Any) -> Any:
        place = shutil.copytree(bundle, tmp_path / f"bundle-{len(list(tmp_path.iterdir()))}")
        telemetry = {"otlp": url, "sample": sample}
        return watched(place, KINDS[0], {"telemetry": telemetry, "stage": "prod", **config}, env)

    return start


@pytest.fixture
def collected() -> Iterator[Collector]:
    with collector() as found:
        yield found


def with_meta(server: Watched, tool: str, request_id: str, **headers: str) -> None:
    """A call that carries its trace in `_meta`."""
    meta = {**ENVELOPE, "traceparent": traceparent(META)}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "_meta": meta}}
    sent = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    sent |= {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": tool}
    assert server.server.request("POST", "/mcp", json.dumps(message).encode(), {**sent, **headers})[0] == 200
    server.line(request_id, msg="request")


def test_spans_join_the_trace_of_their_request_in_both_eras(serve: Start, collected: Collector) -> None:
    with serve(collected.url) as server:
        for era in (server.older, server.call):
            era("told", {}, traceparent=traceparent(HTTP), **{"x-request-id": era.__name__})
            era("fail", {}, traceparent=traceparent(HTTP))
            era('no "such" tool', {}, traceparent=traceparent(HTTP))
        server.call("told", {})
        with_meta(server, "told", "meta", traceparent=traceparent(HTTP), **{"x-request-id": "meta"})
        lines = [server.line(name, msg="request") for name in ("older", "call", "meta")]
        author = server.line("call", logger="author")
        assert server.server.stop() == 0
    spans = collected.spans()
    joined = spans[:6]
    assert {(span.trace_id.hex(), span.parent_span_id.hex()) for span in joined} == {HTTP}
    assert [span.name for span in joined] == ["tools/call told", "tools/call fail", "tools/call"] * 2
    told = {"mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "told"}
    for span, version in zip((spans[0], spans[3]), (LEGACY, MODERN), strict=True):
        assert {**told, "mcp.protocol.version": version}.items() <= plain(span.attributes).items()
        assert span.status.code == OK
    assert [span.status.code for span in joined] == [OK, ERROR, ERROR] * 2
    assert plain(spans[1].attributes)["error.type"] == "tool_error"
    assert plain(spans[2].attributes)["gen_ai.tool.name"] == "_OTHER"
    alone, last = spans[6:]
    assert alone.parent_span_id == b""
    # What the message says is the parent; what the connection says becomes a link.
    assert (last.trace_id.hex(), last.parent_span_id.hex()) == META
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in last.links] == [HTTP]
    assert all(not span.links for span in joined)
    assert [(line["trace_id"], line["span_id"]) for line in lines] == [
        (span.trace_id.hex(), span.span_id.hex()) for span in (spans[0], spans[3], last)
    ]
    assert (author["trace_id"], author["span_id"]) == (lines[1]["trace_id"], lines[1]["span_id"])


def test_the_server_says_which_it_is(serve: Start, collected: Collector) -> None:
    with serve(collected.url) as server:
        server.call("told")
        assert server.server.stop() == 0
    told = {"service.name": "seen", "service.version": "1.2.3", "deployment.environment.name": "prod"}
    assert told.items() <= collected.resource().items()


def test_metrics_have_the_names_of_the_conventions(serve: Start, collected: Collector) -> None:
    with serve(collected.url) as server:
        for _ in range(3):
            server.call("told")
        server.call("slow")
        server.call("made up")
        server.server.request("GET", "/mcp")
        assert server.server.stop() == 0
    duration = collected.metric("mcp.server.operation.duration")
    assert duration.unit == "s"
    points = {tuple(sorted(plain(point.attributes).items())): point for point in duration.histogram.data_points}
    call = {"mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "told"}
    point = points[tuple(sorted(call.items()))]
    assert point.count == 3
    assert list(point.explicit_bounds) == [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300]
    slow = {**call, "gen_ai.tool.name": "slow", "error.type": "timeout"}
    assert points[tuple(sorted(slow.items()))].count == 1
    assert points[tuple(sorted({"mcp.method.name": "tools/call", "error.type": "unknown_tool"}.items()))].count == 1
    rejected = {
        plain(point.attributes)["reason"]: point.as_int
        for point in collected.metric("mcp_tool.rejections").sum.data_points
    }
    assert rejected["method"] == 1
    held = collected.metric("mcp_tool.calls.in_flight").sum
    assert {plain(point.attributes)["gen_ai.tool.name"]: point.as_int for point in held.data_points}["told"] == 0


def test_the_audit_stream_goes_there_too(serve: Start, collected: Collector) -> None:
    with serve(collected.url, log={"audit": "otlp"}, release="7") as server:
        server.call("add", {"a": 1, "password": "canary"}, **{"x-request-id": "audited"})
        assert not server.entries()
        assert server.server.stop() == 0
    (entry,) = collected.logs()
    told = {"stream": "audit", "request_id": "audited", "tool": "add", "release": "7", "outcome": "ok"}
    assert told.items() <= entry.items()
    assert entry["arguments"].startswith("hmac-sha256:")
    assert "canary" not in str(collected.received)


def test_who_began_a_trace_decides_whether_it_is_kept(serve: Start, collected: Collector) -> None:
    with serve(collected.url, sample=0.0) as server:
        server.call("told")
        server.call("told", {}, traceparent=traceparent(HTTP))
        server.call("told", {}, traceparent=traceparent(META, sampled=False))
        assert server.server.stop() == 0
    assert [span.trace_id.hex() for span in collected.spans()] == [HTTP[0]]


def test_the_environment_goes_before_the_config(serve: Start, collected: Collector) -> None:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collected.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=blue",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_SERVICE_NAME": "renamed",
        "OTEL_RESOURCE_ATTRIBUTES": "team=red,service.version=9",
        "OTEL_TRACES_SAMPLER": "always_on",
    }
    with serve("http://127.0.0.1:9", env, sample=0.0) as server:
        server.call("told")
        assert server.server.stop() == 0
    assert len(collected.spans()) == 1
    told = {"service.name": "renamed", "team": "red", "service.version": "9"}
    assert told.items() <= collected.resource().items()
    assert all(headers["x-tenant"] == "blue" for headers in collected.headers)
    assert any(headers.get("content-encoding") == "gzip" for headers in collected.headers)


def test_switched_off_by_the_environment_nothing_is_sent(serve: Start, collected: Collector) -> None:
    with serve(collected.url, {"OTEL_SDK_DISABLED": "true"}) as server:
        assert server.call("told")["result"]["isError"] is False
        assert server.server.stop() == 0
    assert collected.received == []


def test_a_collector_that_is_down_costs_no_call_and_little_log(serve: Start) -> None:
    with socket.socket() as nobody, serve_to(serve, nobody) as server:
        for _ in range(30):
            assert server.call("told")["result"]["isError"] is False
        began = time.monotonic()
        assert server.server.stop() == 0
        took = time.monotonic() - began
        told = [line for line in server.server.lines() if line["logger"].startswith(("opentelemetry", "urllib3"))]
    assert took < 15  # the exporter alone would go on trying for longer
    assert len(told) <= 2
    assert not [line for line in server.server.lines() if line["level"] == "error" and line not in told]


def serve_to(serve: Start, nobody: socket.socket) -> AbstractContextManager[Watched]:
    """Send telemetry to a port that accepts and never answers; more is sent while the server runs than it queues."""
    nobody.bind(("127.0.0.1", 0))
    nobody.listen(1)
    url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    return serve(
        url, {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_BSP_MAX_QUEUE_SIZE": "4", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2"}
    )


def test_on_stdio_too(bundle: Path, tmp_path: Path, collected: Collector) -> None:
    place = shutil.copytree(bundle, tmp_path / "bundle")
    with stdio_server(place, {"telemetry": {"otlp": collected.url}}) as server:
        meta = {**ENVELOPE, "traceparent": traceparent(META)}
        server.send(id=1, method="tools/call", params={"name": "told", "arguments": {}, "_meta": meta})
        assert server.receive()["result"]["isError"] is False
        server.stdin.close()
        assert server.process.wait(20) == 0
    (span,) = collected.spans()
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.name) == (*META, "tools/call told")
    lines = [json.loads(line) for line in (place / "stderr.log").read_text(encoding="utf-8").splitlines()]
    assert {(line["trace_id"], line["span_id"]) for line in lines} == {(META[0], span.span_id.hex())}


def test_a_server_of_another_library_has_the_same(tmp_path: Path, collected: Collector) -> None:
    wrapped = KINDS[2]
    with watched(bundle_of(tmp_path / "bundle", wrapped), wrapped, {"telemetry": {"otlp": collected.url}}) as server:
        for era in (server.older, server.call):
            era("add", {"a": 1}, traceparent=traceparent(HTTP), **{"x-request-id": era.__name__})
            assert server.line(era.__name__, msg="request")["trace_id"] == HTTP[0]
        assert server.server.stop() == 0
    assert [(span.trace_id.hex(), span.name) for span in collected.spans()] == [(HTTP[0], "tools/call add")] * 2


def test_without_the_extra_the_start_says_how_to_get_it(bundle: Path, tmp_path: Path) -> None:
    place = shutil.copytree(bundle, tmp_path / "bundle")
    (place / "config.json").write_text(
        json.dumps({"schema": 1, "telemetry": {"otlp": "http://127.0.0.1:9"}}), encoding="utf-8"
    )
    # An entry of None is how Python is told that there is no such module.
    program = (
        "import sys; sys.modules['opentelemetry.sdk'] = None; from mcp_tool.__main__ import main; sys.exit(main())"
    )
    line = [sys.executable, "-c", program, "serve", "--bundle", str(place), "--transport", "http", "--port", "0"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    problem = json.loads(done.stderr.splitlines()[-1])
    assert "telemetry is set" in problem["msg"]
    assert "mcp-tool-runtime[otel]" in problem["fix"]


def test_without_telemetry_nothing_of_it_is_imported(bundle: Path, tmp_path: Path) -> None:
    place = shutil.copytree(bundle, tmp_path / "bundle")
    source = (place / "app" / "server.py").read_text(encoding="utf-8")
    tool = '\n\n@tool\ndef modules() -> list[str]:\n    """All."""\n    import sys\n    return list(sys.modules)\n'
    (place / "app" / "server.py").write_text(source + tool, encoding="utf-8")
    (place / "contract.json").unlink()
    with stdio_server(place) as server:
        server.initialize()
        server.call("modules")
        found = set(server.receive()["result"]["structuredContent"]["result"])
    assert "mcp_tool.serve.observe.calls" in found
    optional = {
        "opentelemetry.sdk",
        "requests",
        "redis",
        "mcp_tool.serve.observe.tracing",
        "mcp_tool.serve.observe.audit",
    }
    assert not optional & found

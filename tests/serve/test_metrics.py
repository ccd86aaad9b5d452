"""`/metrics`: what Prometheus' own parser makes of it, from the first scrape on, and the port it is on."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mcp_tool.serve.observe.metrics import BUCKETS, CANCELLED, OTHER, Gauge, Metrics, text
from tests.serve.process import http_server
from tests.serve.seen import KINDS, Watched, bundle_of, samples, wait_for, watched

HOSTILE = 'a"b\\c\nd{e="f"} 1\n# HELP x ü'
METRICS = {"metrics": {"host": "127.0.0.1", "port": 0}}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_of(tmp_path_factory.mktemp("metrics") / "bundle", KINDS[0])


@pytest.fixture
def another(bundle: Path, tmp_path: Path) -> Path:
    """The same bundle in another place: each server has its log beside it."""
    return shutil.copytree(bundle, tmp_path / "another", symlinks=True)


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[Watched]:
    with watched(bundle, KINDS[0], METRICS) as found:
        yield found


def get(url: str, method: str = "GET", raw: bytes | None = None) -> tuple[int, str, bytes]:
    """Status, content type and body."""
    where = urlsplit(url)
    if raw is not None:
        with socket.create_connection((where.hostname, where.port), 20) as plain:
            plain.sendall(raw)
            plain.shutdown(socket.SHUT_WR)
            return 0, "", plain.recv(100)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=20)
    try:
        connection.request(method, where.path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type", ""), answer.read()
    finally:
        connection.close()


def test_every_tool_is_there_before_its_first_call(another: Path) -> None:
    with watched(another, KINDS[0], METRICS) as fresh:
        found = fresh.samples()
    tools = [tool["name"] for tool in fresh.contract["tools"]]
    assert len(tools) == 7
    for tool in tools:
        assert found["mcp_tool_calls_total", frozenset({("gen_ai_tool_name", tool)})] == 0
        assert found["mcp_tool_calls_in_flight", frozenset({("gen_ai_tool_name", tool)})] == 0
        for kind in ("tool_error", "timeout", "crash", "arguments"):
            labels = frozenset({("gen_ai_tool_name", tool), ("error_type", kind)})
            assert found["mcp_tool_errors_total", labels] == 0
        labels = frozenset({("mcp_method_name", "tools/call"), ("gen_ai_tool_name", tool)})
        assert found["mcp_server_operation_duration_seconds_count", labels] == 0
    reasons = {dict(key[1])["reason"] for key in found if key[0] == "mcp_server_rejections_total"}
    assert {"too_large", "rate", "busy", "draining", "unauthenticated", "forbidden", "host", "origin"} <= reasons


def test_the_server_says_which_it_is_and_how_it_does(server: Watched) -> None:
    labels = {
        "service": "seen",
        "version": "1.2.3",
        "contract": server.contract["hash"],
        "stage": "default",
        "target": "local",
    }
    assert server.value("mcp_tool_info", **labels) == 1
    assert server.value("mcp_server_ready") == 1
    assert server.value("mcp_server_lost_threads") == 0
    assert 1e7 < server.value("process_resident_memory_bytes") < 1e9
    assert 0 < server.value("process_cpu_seconds_total") < 60
    assert 3 < server.value("process_open_fds") < 200
    assert abs(server.value("process_start_time_seconds") - time.time()) < 600
    assert server.value("process_start_time_seconds") < time.time()


def test_the_server_is_as_ready_as_it_says_to_probes(another: Path) -> None:
    with socket.socket() as dependency:
        dependency.bind(("127.0.0.1", 0))
        dependency.listen()
        config = {**METRICS, "dependencies": {"store": f"127.0.0.1:{dependency.getsockname()[1]}"}}
        with watched(another, KINDS[0], config) as server:
            assert server.value("mcp_server_ready") == 1
            dependency.close()
            wait_for(lambda: server.value("mcp_server_ready") == 0 or None)
            assert server.server.request("GET", "/readyz")[0] == 503


def test_the_types_are_those_of_the_names(server: Watched) -> None:
    kinds = {family.name: family.type for family in text_string_to_metric_families(server.text())}
    assert kinds == {
        "mcp_server_operation_duration_seconds": "histogram",
        "mcp_tool_calls": "counter",
        "mcp_tool_errors": "counter",
        "mcp_tool_calls_in_flight": "gauge",
        "mcp_server_rejections": "counter",
        "mcp_server_lost_threads": "gauge",
        "mcp_server_event_loop_lag_seconds": "gauge",
        "mcp_server_ready": "gauge",
        "mcp_server_log_lines_lost": "counter",
        "process_cpu_seconds": "counter",
        "process_resident_memory_bytes": "gauge",
        "process_start_time_seconds": "gauge",
        "process_open_fds": "gauge",
        "mcp_tool_info": "gauge",
    }


def test_a_blocked_event_loop_shows(server: Watched) -> None:
    assert server.value("mcp_server_event_loop_lag_seconds") < 1.2
    server.call("block", {"seconds": 1.5})
    assert server.value("mcp_server_event_loop_lag_seconds") > 1.2


def test_the_port_serves_nothing_else(server: Watched) -> None:
    url = server.metrics_url()
    status, kind, body = get(f"{url}/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert body.endswith(b"\n")
    assert get(f"{url}/metrics?name=x")[0] == 200
    assert get(f"{url}/healthz")[::2] == (200, b"ok\n")
    assert get(f"{url}/mcp")[0] == 404
    assert get(f"{url}/metrics", "POST")[0] == 405
    assert get(f"{url}/metrics", "HEAD") == (200, kind, b"")
    assert server.server.request("GET", "/metrics")[0] == 404


@pytest.mark.parametrize("raw", [b"", b"\r\n\r\n", b"GET /metrics", b"G" * 20_000, bytes(range(256)) + b"\r\n\r\n"])
def test_nonsense_on_the_port_harms_nobody(server: Watched, raw: bytes) -> None:
    get(server.metrics_url(), raw=raw)
    assert get(f"{server.metrics_url()}/metrics")[0] == 200
    assert not [line for line in server.server.lines() if line["level"] == "error"]


def test_an_address_in_use_is_waited_for(another: Path, tmp_path: Path) -> None:
    with watched(another, KINDS[0], METRICS) as old:
        port = int(old.metrics_url().rpartition(":")[2])
        second = shutil.copytree(another, tmp_path / "second")
        with http_server(second, {"metrics": {"host": "127.0.0.1", "port": port}}) as server:
            assert server.request("GET", "/readyz")[0] == 200
            told = [line for line in server.lines() if "cannot be served" in line["msg"]]
            assert len(told) == 1
            assert old.server.stop() == 0
            new = Watched(server, KINDS[0], old.contract)
            wait_for(lambda: [line for line in server.lines() if line["msg"] == "serving metrics"] or None)
            assert new.value("mcp_server_ready") == 1
            assert len([line for line in server.lines() if "cannot be served" in line["msg"]]) == 1


def test_a_child_that_a_tool_forks_does_not_keep_the_port(another: Path) -> None:
    source = (another / "app" / "server.py").read_text(encoding="utf-8")
    forks = """
import os


@tool
def fork(seconds: float) -> int:
    \'\'\'Leave a child behind.\'\'\'
    child = os.fork()
    if child == 0:
        time.sleep(seconds)
        os._exit(0)
    return child
"""
    (another / "app" / "server.py").write_text(source + forks, encoding="utf-8")
    with watched(another, KINDS[0], METRICS) as old:
        port = int(old.metrics_url().rpartition(":")[2])
        child = old.call("fork", {"seconds": 60})["result"]["structuredContent"]["result"]
        try:
            assert old.server.stop() == 0
            with socket.socket() as new:
                new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                new.bind(("127.0.0.1", port))
                new.listen()
        finally:
            os.kill(child, signal.SIGKILL)


def test_without_a_port_nothing_is_counted_and_nothing_listens(another: Path) -> None:
    with watched(another, KINDS[0], {}) as plain:
        plain.call("told")
        listening = [line for line in plain.server.lines() if line["msg"] == "serving metrics"]
        modules = subprocess.run(
            [sys.executable, "-c", "import mcp_tool.serve.observe.calls, sys; print(*sys.modules)"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
    assert listening == []
    unasked = ("metrics_http", "audit", "tracing")
    assert not {f"mcp_tool.serve.observe.{name}" for name in unasked} & set(modules)


def test_names_that_need_it_are_escaped() -> None:
    metrics = Metrics([HOSTILE], {"service": HOSTILE})
    metrics.tools[HOSTILE].observe(0.3, HOSTILE)
    found = samples(text(metrics))
    assert found["mcp_tool_calls_total", frozenset({("gen_ai_tool_name", HOSTILE)})] == 1
    labels = frozenset({("gen_ai_tool_name", HOSTILE), ("error_type", HOSTILE)})
    assert found["mcp_tool_errors_total", labels] == 1
    assert found["mcp_tool_info", frozenset({("service", HOSTILE)})] == 1


def test_a_value_on_a_bound_is_in_its_bucket() -> None:
    metrics = Metrics(["t"], {})
    for seconds in (*BUCKETS, 1000.0):
        metrics.tools["t"].observe(seconds)
    buckets = {
        dict(key[1])["le"]: value
        for key, value in samples(text(metrics)).items()
        if key[0] == "mcp_server_operation_duration_seconds_bucket"
    }
    assert [buckets[str(bound)] for bound in BUCKETS] == list(range(1, len(BUCKETS) + 1))
    assert buckets["+Inf"] == len(BUCKETS) + 1


def test_error_types_that_an_author_makes_up_have_an_end() -> None:
    operation = Metrics(["t"], {}).tools["t"]
    for code in range(100):
        operation.observe(0.1, str(code))
    assert len(operation.durations) <= 21
    assert operation.calls == 100
    assert sum(operation.durations[OTHER].counts) > 70


def test_calls_that_were_left_are_no_errors() -> None:
    metrics = Metrics(["t"], {})
    metrics.tools["t"].observe(0.1, CANCELLED)
    found = samples(text(metrics))
    assert found["mcp_tool_calls_total", frozenset({("gen_ai_tool_name", "t")})] == 1
    assert not any(value for key, value in found.items() if key[0] == "mcp_tool_errors_total")


def test_what_a_system_does_not_tell_is_left_out() -> None:
    metrics = Metrics([], {})
    metrics.gauges.append(Gauge("unknown_here", "Not on this system.", lambda: None))
    assert "unknown_here" not in text(metrics)


@pytest.mark.real("promtool")
def test_promtool_finds_nothing_to_mend(server: Watched) -> None:
    server.call("fail")
    server.call("nope")
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=server.text(), capture_output=True, text=True, timeout=60, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_scrapes_and_calls_at_once_disturb_each_other_not(server: Watched) -> None:
    broken: list[BaseException] = []

    def scrape() -> None:
        try:
            for _ in range(20):
                assert server.value("mcp_server_ready") == 1
        except BaseException as error:  # noqa: BLE001 - told by the test
            broken.append(error)

    threads = [threading.Thread(target=scrape) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        server.call("told")
    for thread in threads:
        thread.join()
    assert broken == []

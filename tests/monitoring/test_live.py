"""A real Prometheus collects from a real server: the names agree, and rules and queries have something to go on."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.contract import Contract
from mcp_packager.monitoring import dashboard, prometheus_rules, watched, yaml_text
from mcp_packager.monitoring.series import BUCKETS
from mcp_packager.target.identity import Identity
from tests import real_parts
from tests.monitoring.test_dashboard import expressions
from tests.serve.process import HttpServer, http_server, make_bundle

pytestmark = pytest.mark.real("prometheus")

PATIENCE = 60.0
SOURCE = '''
from mcp_tool import ToolError, tool


@tool
def count(text: str) -> int:
    """Count the words."""
    return len(text.split())


@tool(timeout="2s")
def fail() -> str:
    """Fail whatever is asked."""
    raise ToolError("never works")
'''


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that listens on this machine."""

    port: int

    def ask(self, path: str, **parameters: str) -> Any:
        """The ``data`` of an answer of its HTTP API, ``None`` while it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
            answer = connection.getresponse()
            body = answer.read()
        except OSError:
            return None
        finally:
            connection.close()
        assert answer.status in {200, 503}, body
        return json.loads(body)["data"] if answer.status == 200 else None


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_bundle(tmp_path_factory.mktemp("live") / "bundle", SOURCE, name="words")
    command = [sys.executable, "-m", "mcp_tool", "contract", "--bundle", str(folder)]
    subprocess.run([*command, "--output", str(folder / "contract.json")], check=True, timeout=60)
    return folder


@contextlib.contextmanager
def collecting(folder: Path, target: str, rules: str) -> Iterator[Prometheus]:
    """A Prometheus that collects every second until the block ends."""
    (folder / "alerts.yaml").write_text(rules, encoding="utf-8")
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "alerts.yaml")],
        "scrape_configs": [{"job_name": "mcp", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            found = stack.enter_context(started(folder))
            if found is not None:
                yield found
                return
    raise AssertionError((folder / "prometheus.log").read_text(encoding="utf-8"))


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Prometheus | None]:
    """A Prometheus on a port that was free a moment ago; ``None`` where it ended, as when somebody else took it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        prometheus = Prometheus(free.getsockname()[1])
    command = [
        str(real_parts.PARTS["prometheus"]()),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{prometheus.port}",
    ]
    with (folder / "prometheus.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline and prometheus.ask("query", query="1") is None:
            time.sleep(0.05)
        yield None if process.poll() is not None else prometheus
    finally:
        process.terminate()
        process.wait(20)


def metrics_port(server: HttpServer) -> int:
    """The port that the server says it shows its metrics on, a moment before or after it listens."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for line in server.lines():
            if line["msg"] == "serving metrics":
                return int(line["port"])
        time.sleep(0.02)
    raise AssertionError(server.lines())


def settled(prometheus: Prometheus, server: HttpServer, queries: list[str]) -> list[str]:
    """Call the tools until every query has an answer; the queries that have none when patience ends."""
    silent, deadline = queries, time.monotonic() + PATIENCE
    while silent and time.monotonic() < deadline:
        assert server.modern("tools/call", {"name": "count", "arguments": {"text": "a b"}})["result"]
        assert server.modern("tools/call", {"name": "fail", "arguments": {}})["result"]["isError"]
        silent = [query for query in silent if not (prometheus.ask("query", query=query) or {}).get("result")]
        time.sleep(0.2)
    return silent


def test_what_a_server_shows_is_what_dashboard_and_rules_ask_for(bundle: Path, tmp_path: Path) -> None:
    contract = Contract.from_document(json.loads((bundle / "contract.json").read_text(encoding="utf-8")))
    deployment = watched(contract, Identity("words", "words", "prod"), 60.0)
    config = {"stage": "prod", "target": "local", "metrics": {"host": "127.0.0.1", "port": 0}}
    with (
        http_server(bundle, config) as server,
        collecting(
            tmp_path, f"127.0.0.1:{metrics_port(server)}", yaml_text(prometheus_rules(deployment))
        ) as prometheus,
    ):
        assert settled(prometheus, server, expressions(dashboard(deployment))) == []
        waiting = pending(prometheus)
        bounds = {one["metric"]["le"] for one in prometheus.ask("query", query=BOUNDS)["result"]}
        (told,) = prometheus.ask("query", query="mcp_tool_info")["result"]
    # The one tool that always fails is on its way to an alarm; nothing else is, and every rule could be evaluated.
    assert waiting == {("McpToolFailing", "fail"), ("McpToolBroken", "fail")}
    assert {float(bound) for bound in bounds} == {*BUCKETS, float("inf")}
    assert told["metric"]["contract"] == contract.hash


BOUNDS = "count by (le) (mcp_server_operation_duration_seconds_bucket)"


def pending(prometheus: Prometheus) -> set[tuple[str, str]]:
    """The alerts that are on their way, with their tools, once every rule was evaluated well and one is."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        alerts = {
            (alert["labels"]["alertname"], alert["labels"].get("gen_ai_tool_name", ""))
            for rule in rules
            for alert in rule["alerts"]
        }
        if alerts and all(rule["health"] == "ok" for rule in rules):
            return alerts
        time.sleep(0.2)
    raise AssertionError(f"no alert, or a rule that cannot be evaluated: {rules}")

"""What the server answers is what the contract says, and what the SDK itself would say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mcp_tool.wire import MODERN
from tests.serve.process import ENVELOPE, JSON, LEGACY, HttpServer, fixture_bundle, http_server

INITIALIZE = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fixture_bundle(tmp_path_factory.mktemp("sdk") / "bundle")


@pytest.fixture(scope="module")
def contract(bundle: Path) -> dict[str, Any]:
    """The contract as the packager gets it."""
    output = bundle / "contract.out"
    line = [sys.executable, "-m", "mcp_tool", "contract", "--bundle", str(bundle), "--output", str(output)]
    subprocess.run(line, check=True, timeout=30)
    document: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def server(bundle: Path, contract: dict[str, Any]) -> Iterator[HttpServer]:
    (bundle / "contract.json").write_text(json.dumps(contract), encoding="utf-8")
    with http_server(bundle) as running:
        yield running


def raw(server: HttpServer, method: str, era: str) -> bytes:
    """The answer's body as it came, without what the transport put around the message."""
    params: dict[str, Any] = INITIALIZE if method == "initialize" else {}
    head = {**JSON, "mcp-protocol-version": era}
    if era == MODERN:
        params, head = {"_meta": ENVELOPE}, {**head, "mcp-method": method}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    answer = server.request("POST", "/mcp", body, head)[2].decode()
    lines = [line.removeprefix("data: ") for line in answer.splitlines() if line.startswith("data: {")]
    return (lines[-1] if lines else answer).encode()


@pytest.mark.parametrize("era", ["legacy", MODERN])
def test_every_answer_of_the_contract_comes_over_the_wire_to_the_byte(
    server: HttpServer, contract: dict[str, Any], era: str
) -> None:
    answers = {method: answer for method, answer in contract["answers"][era].items() if "without" not in method}
    assert len(answers) == 5
    for method, answer in answers.items():
        message = {"jsonrpc": "2.0", "id": 1, "result": answer}
        expected = json.dumps(message, separators=(",", ":"), ensure_ascii=era == MODERN)
        assert raw(server, method, LEGACY if era == "legacy" else era) == expected.encode(), method


@pytest.mark.parametrize("listen", [True, False])
def test_the_sdk_would_discover_the_same(bundle: Path, contract: dict[str, Any], listen: bool) -> None:
    # In a process of its own: the fixture's decorators would record into this one.
    code = f"""
import asyncio, json, sys
from pathlib import Path
sys.path.insert(0, {str(bundle / "app")!r})
from mcp_tool import config
from mcp_tool.app import App
from mcp_tool.serve.observe.calls import Calls
from mcp_tool.serve.sdk.server import serve_app
tool = json.loads(Path({str(bundle / "tool.json")!r}).read_text())
app = App.load(tool)
settings = config.parse({{"serve": {{"listen": {listen}}}}})
server = serve_app(app, tool, app.contract(), settings, Calls()).server
context = type("Context", (), {{"protocol_version": {MODERN!r}}})
answer = asyncio.run(server._handle_discover(context, None))
print(json.dumps(answer.model_dump(by_alias=True, mode="json", exclude_none=True)))
print(json.dumps(server.get_capabilities().model_dump(by_alias=True, mode="json", exclude_none=True)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True, env=dict(os.environ)
    )
    discovered, capabilities = map(json.loads, done.stdout.splitlines())
    answer = dict(contract["answers"][MODERN]["server/discover" if listen else "server/discover without listen"])
    answer.pop("_meta")
    assert answer == discovered
    assert contract["answers"]["legacy"]["initialize"]["capabilities"] == capabilities


def test_without_listen_streams_nothing_is_promised_and_nothing_served(bundle: Path, contract: dict[str, Any]) -> None:
    with http_server(bundle, {"serve": {"listen": False}}) as server:
        assert server.modern("subscriptions/listen", {"notifications": {}})["error"]["code"] == -32601
        answer = server.modern("server/discover", {})["result"]
    assert answer == contract["answers"][MODERN]["server/discover without listen"]


def test_replicas_share_the_key_of_the_state_and_strangers_do_not(bundle: Path) -> None:
    tool = {"name": "test_input_required_result_request_state", "arguments": {}}
    shared = {"serve": {"state_keys": [{"env": "STATE_KEY"}]}}
    answers = {"confirm": {"action": "accept", "content": {"ok": True}}}
    with http_server(bundle, shared, env={"STATE_KEY": "k" * 32}) as one:
        state = one.modern("tools/call", tool)["result"]["requestState"]
    again = {**tool, "inputResponses": answers, "requestState": state}
    with http_server(bundle, shared, env={"STATE_KEY": "k" * 32}) as two:
        assert two.modern("tools/call", again)["result"]["content"][0]["text"] == "state-ok: kept"
    with http_server(bundle) as stranger:
        assert stranger.modern("tools/call", again)["error"]["code"] == -32602


def test_a_call_may_take_as_long_as_the_deployment_allows(bundle: Path) -> None:
    with http_server(bundle, {"serve": {"timeout": 0.02}}) as server:
        answer = server.modern("tools/call", {"name": "test_tool_with_progress", "arguments": {}})["result"]
    assert answer["isError"] is True
    assert "0.02 s" in answer["content"][0]["text"]


def test_many_at_once_get_their_own_answers(server: HttpServer) -> None:
    def ask(number: int) -> Any:
        call = {"name": "test_x_mcp_header", "arguments": {"region": str(number), "query": "q"}}
        return server.legacy("tools/call", call)["result"]["structuredContent"]["result"]

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(ask, range(60))) == [f"q in {number}" for number in range(60)]

"""Lines of the log: whose they are, what they never hold, and that nobody has to read them for calls to go on."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_targets.local.logs import read_logs
from mcp_tool.record import Record
from mcp_tool.serve.observe.log_file import stdio_file
from tests.serve.process import MODERN, HttpServer, StdioServer, command, make_bundle, stdio_server
from tests.serve.seen import APP, KINDS, Watched, bundle_of, wait_for, watched

TRACE = f"00-{'a' * 32}-{'b' * 16}-01"
SECRET = 'hunter2-"quoted"'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    bundle = bundle_of(tmp_path_factory.mktemp("log") / "bundle", KINDS[0], secrets={"KEY": {}})
    with watched(bundle, KINDS[0], {}, env={"KEY": SECRET}) as found:
        yield found


@pytest.mark.parametrize("tool", ["add", "told"])
def test_what_the_author_logs_carries_the_ids_of_its_request(server: Watched, tool: str) -> None:
    for era in (server.call, server.older):
        identity = f"author-{tool}-{era.__name__}"
        era(tool, {"a": 1} if tool == "add" else {}, traceparent=TRACE, **{"x-request-id": identity})
        line = server.line(identity, logger="author")
        assert line["trace_id"] == "a" * 32
        assert server.line(identity, msg="request")["trace_id"] == "a" * 32


def test_the_trace_of_the_message_goes_before_that_of_the_connection(server: Watched) -> None:
    meta = {
        "traceparent": f"00-{'c' * 32}-{'d' * 16}-01",
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "told", "_meta": meta}}
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    headers |= {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "told"}
    headers |= {"traceparent": TRACE, "x-request-id": "both"}
    assert server.server.request("POST", "/mcp", json.dumps(message).encode(), headers)[0] == 200
    assert server.line("both", msg="request")["trace_id"] == "c" * 32


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "00",
        f"00-{'0' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'0' * 16}-01",
        f"ff-{'a' * 32}-{'b' * 16}-01",
        f"00-{'A' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'b' * 16}-01-more",
        f"00-{'a' * 32}-{'b' * 16}-01\n",
    ],
)
def test_what_is_no_traceparent_is_left_alone(wrong: str) -> None:
    record = Record()
    assert not record.follow(wrong)
    assert (record.trace_id, record.span_id) == ("", "")
    assert record.follow(f"01-{'a' * 32}-{'b' * 16}-01-of-a-later-version")


def test_no_secret_stands_in_what_the_author_logs(server: Watched) -> None:
    server.call("told", {"text": f"the key is {SECRET}, you know"}, **{"x-request-id": "secret"})
    assert server.line("secret", logger="author")["msg"] == "told the key is ***, you know"
    assert "hunter2" not in server.server.log.read_text(encoding="utf-8")


def test_the_level_says_which_lines_are_written(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", APP)
    with stdio_server(bundle, {"log": {"level": "warning"}}) as quiet:
        quiet.initialize()
        quiet.call("told")
        quiet.receive()
        quiet.call("crash")
        quiet.receive()
        _end(quiet)
    lines = [json.loads(line) for line in (bundle / "stderr.log").read_text(encoding="utf-8").splitlines()]
    assert [line["level"] for line in lines] == ["error", "warning"]


def test_calls_go_on_while_nobody_reads_the_log(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", APP)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*command(bundle), "--transport", "http", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    server = HttpServer(process, f"http://127.0.0.1:{port}/mcp", tmp_path / "none")
    try:
        wait_for(lambda: _answers(server) or None)
        long = "x" * 20_000
        for number in range(300):  # some 6 MB: more than the pipe and the memory for what waits hold together
            answer = server.modern("tools/call", {"name": "told", "arguments": {"text": f"{number} {long}"}})
            assert answer["result"]["content"][0]["text"] == "told"
        read: list[bytes] = []
        assert process.stderr is not None
        reader = threading.Thread(target=lambda: read.extend(process.stderr or ()))
        reader.start()
        wait_for(lambda: any(b'"lost"' in line for line in list(read)) or None)
        server.modern("tools/call", {"name": "told", "arguments": {"text": "the last"}})
        process.terminate()
        assert process.wait(20) == 0
        reader.join(20)
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
    lines = [json.loads(line) for line in read]
    told = [line["msg"].split()[1] for line in lines if line.get("logger") == "author"]
    assert told[0] == "0"
    assert told[-1] == "the"
    assert [int(number) for number in told[:-1]] == sorted(int(number) for number in told[:-1])
    lost = next(line["lost"] for line in lines if "lost" in line)
    assert f"{lost} log lines were dropped" in next(line["msg"] for line in lines if "lost" in line)
    requests = sum(line.get("msg") == "request" for line in lines)
    assert len(told) - 1 + requests - 1 + lost == 600


def _answers(server: HttpServer) -> bool:
    try:
        return server.request("GET", "/readyz")[0] == 200
    except OSError:
        return False


def test_a_log_that_nobody_reads_does_not_keep_the_server(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", APP)
    process = subprocess.Popen(command(bundle), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        server = StdioServer(process)
        server.initialize()
        for number in range(20):
            server.call("told", {"text": "x" * 20_000}, number)
            assert server.receive()["result"]["isError"] is False
        server.stdin.close()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), signal.SIGKILL)", "ctypes.string_at(0)"])
def test_a_crash_loses_no_line(tmp_path: Path, end: str) -> None:
    source = f'''
import ctypes, logging, os, signal
from mcp_tool import tool

@tool
def die() -> str:
    """Die."""
    for number in range(20):
        logging.getLogger("author").info("line %d", number)
    {end}
    return ""
'''
    with stdio_server(make_bundle(tmp_path / "bundle", source)) as server:
        server.initialize()
        server.call("die")
        assert server.stdout.readline() == b""
        server.process.wait(20)
    written = (tmp_path / "bundle" / "stderr.log").read_text(encoding="utf-8").splitlines()
    lines = [json.loads(line) for line in written if line.startswith("{")]
    assert [line["msg"] for line in lines if line["logger"] == "author"] == [f"line {number}" for number in range(20)]


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"MCP_PACK_HOME": "/h", "XDG_DATA_HOME": "/x", "HOME": "/u"}, "/h"),
        ({"XDG_DATA_HOME": "/x", "HOME": "/u"}, "/x/mcp-pack"),
        ({"HOME": "/u"}, "/u/.local/share/mcp-pack"),
    ],
)
def test_stdio_runs_log_where_mcp_pack_looks(environ: dict[str, str], folder: str) -> None:
    from mcp_targets.local.places import data_folder

    assert str(data_folder(environ)) == folder
    assert str(stdio_file(environ, "my/tool", "prod")) == f"{folder}/stdio/my-tool-prod.log"


class TestStdio:
    def test_its_lines_are_kept_and_shown(self, tmp_path: Path) -> None:
        bundle = make_bundle(tmp_path / "bundle", APP)
        home = {"MCP_PACK_HOME": str(tmp_path / "home")}
        for _ in range(2):
            with stdio_server(bundle, env=home) as server:
                server.initialize()
                server.call("add", {"a": 1})
                server.receive()
                server.call("fail", identity=2)
                server.receive()
                server.send(id="three", method="no/such")
                server.receive()
                _end(server)
        kept = stdio_file(home, "test-tool", "default")
        shown = [json.loads(line) for line in read_logs([tmp_path / "none", kept], lines=100, follow=False)]
        pids = {line["request_id"].partition(":")[0] for line in shown}
        assert len(pids) == 2
        requests = [line for line in shown if line["msg"] == "request"][:4]
        told = [(line["method"], line["outcome"], line.get("tool"), line.get("error_type")) for line in requests]
        assert told == [
            ("initialize", "ok", None, None),
            ("tools/call", "ok", "add", None),
            ("tools/call", "error", "fail", "tool_error"),
            ("no/such", "failed", None, "-32601"),
        ]
        assert all(
            (line["transport"], line["protocol"], line["client"]) == ("stdio", "2025-11-25", "test/1")
            for line in requests
        )
        assert [line["request_id"].partition(":")[2] for line in requests] == ["init", "1", "2", "three"]
        logged = next(line for line in shown if line["logger"] == "author")
        assert logged["request_id"] == requests[1]["request_id"]
        assert [line["msg"] for line in shown] == [
            json.loads(line)["msg"] for line in kept.read_text(encoding="utf-8").splitlines()
        ]

    def test_a_newer_client_is_noted_too(self, tmp_path: Path) -> None:
        bundle = make_bundle(tmp_path / "bundle", APP)
        meta: dict[str, Any] = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "new", "version": "2"},
            "traceparent": TRACE,
        }
        with stdio_server(bundle, {"log": {"file": str(tmp_path / "own.log")}}) as server:
            server.send(id=1, method="tools/call", params={"name": "told", "arguments": {}, "_meta": meta})
            assert server.receive()["result"]["isError"] is False
            line = json.loads(wait_for(lambda: _last(tmp_path / "own.log", "request")))
        told = {"protocol": MODERN, "client": "new/2", "trace_id": "a" * 32, "tool": "told", "outcome": "ok"}
        assert told.items() <= line.items()

    def test_a_start_that_fails_is_kept_as_well(self, tmp_path: Path) -> None:
        bundle = make_bundle(tmp_path / "bundle", "raise RuntimeError('broken')")
        home = {"MCP_PACK_HOME": str(tmp_path / "home")}
        with stdio_server(bundle, env=home) as server:
            assert server.process.wait(20) == 1
        problem = json.loads(stdio_file(home, "test-tool", "default").read_text(encoding="utf-8"))
        assert "broken" in problem["msg"]
        assert abs(problem["ts"] - time.time()) < 60

    def test_a_place_that_cannot_be_written_stops_nobody(self, tmp_path: Path) -> None:
        (tmp_path / "home").touch()
        with stdio_server(
            make_bundle(tmp_path / "bundle", APP), env={"MCP_PACK_HOME": str(tmp_path / "home")}
        ) as server:
            server.initialize()
            server.call("add", {"a": 1})
            assert server.receive()["result"]["isError"] is False
        first = (tmp_path / "bundle" / "stderr.log").read_text(encoding="utf-8").splitlines()[0]
        assert "the log cannot be kept in a file" in json.loads(first)["msg"]

    def test_a_user_without_a_home_is_served_too(self, tmp_path: Path) -> None:
        bundle = make_bundle(tmp_path / "bundle", APP)
        with stdio_server(bundle, env={"MCP_PACK_HOME": "~no-such-user-4711/data"}) as server:
            server.initialize()
            server.call("add", {"a": 1})
            assert server.receive()["result"]["isError"] is False


def _end(server: StdioServer) -> None:
    """The client leaves; the server ends by itself, with its last line written."""
    server.stdin.close()
    assert server.process.wait(20) == 0


def _last(path: Path, message: str) -> str | None:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((line for line in reversed(lines) if json.loads(line)["msg"] == message), None)

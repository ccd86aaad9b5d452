"""When its client is gone, a stdio server and everything it started are gone within five seconds."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.process import StdioServer, alive, make_bundle, stdio_server

LIMIT = 5.0

SOURCE = '''
import re
import subprocess
import time

from mcp_tool import tool


@tool
def spawn() -> int:
    """Start a program and forget it."""
    return subprocess.Popen(["sleep", "600"]).pid


@tool
def spawn_away() -> int:
    """Start a program in a session of its own and forget it."""
    return subprocess.Popen(["sleep", "600"], start_new_session=True).pid


@tool
def block_thread() -> int:
    """Block a worker thread."""
    time.sleep(600)
    return 0


@tool
async def block_loop() -> int:
    """Block the event loop."""
    time.sleep(600)
    return 0


@tool
async def hold_lock() -> int:
    """Keep the interpreter's lock, so that no other thread runs."""
    re.match(r"(a+)+$", "a" * 60 + "b")
    return 0
'''


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("end") / "bundle", SOURCE)


@pytest.fixture
def server(bundle: Path) -> Iterator[StdioServer]:
    with stdio_server(bundle) as running:
        running.initialize()
        yield running


def end(server: StdioServer, how: str) -> None:
    match how:
        case "pipe closed":
            server.stdin.close()
        case "server killed":
            server.process.kill()
        case "server asked to stop":
            server.process.terminate()


def gone_within(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("how", ["pipe closed", "server killed", "server asked to stop"])
def test_programs_that_a_tool_started_end_with_the_server(server: StdioServer, how: str) -> None:
    children = []
    for tool in ("spawn", "spawn_away"):
        server.call(tool)
        children.append(server.receive()["result"]["structuredContent"]["result"])
    assert all(map(alive, children))
    end(server, how)
    server.process.wait(LIMIT)
    assert gone_within(children, LIMIT)


def test_a_tool_that_never_ends_does_not_keep_the_server(bundle: Path) -> None:
    with contextlib.ExitStack() as running:
        servers = []
        for tool in ("block_thread", "block_loop", "hold_lock"):
            servers.append(running.enter_context(stdio_server(bundle)))
            servers[-1].initialize()
            servers[-1].call(tool)
        deadline = time.monotonic() + LIMIT
        for server in servers:
            server.stdin.close()
        for server in servers:
            server.process.wait(max(0.0, deadline - time.monotonic()))


def test_a_blocked_server_still_obeys_the_signal(bundle: Path) -> None:
    with contextlib.ExitStack() as running:
        servers = []
        for tool in ("block_thread", "block_loop"):
            servers.append(running.enter_context(stdio_server(bundle)))
            servers[-1].initialize()
            servers[-1].call(tool)
        for server in servers:
            server.process.send_signal(signal.SIGTERM)
        assert [server.process.wait(LIMIT) for server in servers] == [0, 0]


def test_an_idle_server_ends_at_once_and_well(server: StdioServer) -> None:
    start = time.monotonic()
    server.stdin.close()
    assert server.process.wait(LIMIT) == 0
    assert time.monotonic() - start < 2.5


def test_a_client_killed_outright_takes_the_server_along(bundle: Path, tmp_path: Path) -> None:
    # The client's own child keeps the client's end of the pipe open: only watching the client itself helps.
    script = f"""
import json, os, subprocess, sys, time
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from tests.serve.process import stdio_server
with stdio_server(Path({str(bundle)!r})) as server:
    server.initialize()
    server.call("spawn")
    child = server.receive()["result"]["structuredContent"]["result"]
    keeper = subprocess.Popen(["sleep", "60"], close_fds=False, pass_fds=[server.stdin.fileno()])
    print(json.dumps([server.process.pid, child, keeper.pid]), flush=True)
    time.sleep(600)
"""
    keeper = 0
    client = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        assert client.stdout is not None
        server_pid, child, keeper = json.loads(client.stdout.readline())
        client.kill()
        client.wait()
        assert gone_within([server_pid, child], LIMIT)
    finally:
        # First the keeper: it holds the client's pipes too.
        for pid in (keeper, client.pid):
            with contextlib.suppress(OSError):
                os.kill(pid or client.pid, signal.SIGKILL)
        client.communicate()


@pytest.mark.parametrize("tool", ["block_thread", "block_loop"])
def test_a_call_that_is_cut_off_has_its_line_in_the_log(tmp_path: Path, tool: str) -> None:
    bundle = make_bundle(tmp_path / "bundle", SOURCE)
    with stdio_server(bundle) as server:
        server.initialize()
        server.call(tool)
        server.stdin.close()
        server.process.wait(LIMIT)
    lines = [json.loads(line) for line in (bundle / "stderr.log").read_text(encoding="utf-8").split("\n") if line]
    calls = [(line["tool"], line["outcome"]) for line in lines if line.get("method") == "tools/call"]
    assert calls == [(tool, "gone")]

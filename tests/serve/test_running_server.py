"""Whatever the author's function does to a server, its caller gets an answer and no other call is harmed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serve.process import HttpServer, http_server, make_bundle
from tests.serve.test_http import eventually, in_background

SOURCE = '''
import asyncio
import os
import sys
import threading
import time
from pathlib import Path

from mcp_tool import prompt, resource, tool


@tool
def add(a: int, b: int = 0) -> int:
    """Add two numbers."""
    return a + b


@tool
def misbehave(how: str, folder: Path) -> int:
    """Do what no tool should, in a thread."""
    return act(how, folder)


@tool
async def misbehave_async(how: str, folder: Path) -> int:
    """Do what no tool should, on the event loop."""
    if how == "fork and await":
        if os.fork() == 0:
            await asyncio.sleep(0)
            (folder / "second server").touch()
        return 1
    return act(how, folder)


def act(how, folder):
    match how:
        case "raise":
            raise ValueError("mine")
        case "exit":
            sys.exit(3)
        case "wrong":
            return "no number"
        case "print":
            print("x" * 100_000)
            print("to stderr", file=sys.stderr)
        case "fork":
            child = os.fork()
            (folder / f"{os.getpid()}").write_text(str(child))
        case "fork and stay":
            if os.fork() == 0:
                (folder / "child").write_text(str(os.getpid()))
                time.sleep(30)
        case "leak":
            threading.Thread(target=time.sleep, args=(600,)).start()
        case "interrupt":
            raise KeyboardInterrupt
    return 1


@tool(timeout=0.1)
def hang(folder: Path, name: str) -> str:
    """Wait in a thread until told to go on."""
    while not (folder / f"go {name}").exists():
        time.sleep(0.01)
    return "late"


@tool
async def wait(folder: Path, name: str) -> str:
    """Wait on the event loop until told to go on."""
    (folder / name).touch()
    while not (folder / "go").exists():
        await asyncio.sleep(0.01)
    return "waited"


@resource("slow://{folder}")
def slow(folder: str) -> str:
    """Never come back in time."""
    time.sleep(600)
    return ""


@prompt
async def slow_prompt() -> str:
    """Never come back in time."""
    await asyncio.sleep(600)
    return ""
'''


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("running") / "bundle", SOURCE)


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[HttpServer]:
    with http_server(bundle) as running:
        yield running


def call(server: HttpServer, era: str, tool: str, **arguments: Any) -> dict[str, Any]:
    ask = server.legacy if era == "legacy" else server.modern
    result: dict[str, Any] = ask("tools/call", {"name": tool, "arguments": arguments})["result"]
    return result


FAILS = {"raise": True, "exit": True, "wrong": True, "interrupt": True}


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("tool", ["misbehave", "misbehave_async"])
@pytest.mark.parametrize("how", ["raise", "exit", "wrong", "interrupt", "print", "fork", "leak"])
def test_a_tool_that_misbehaves_harms_no_other(
    server: HttpServer, tmp_path: Path, era: str, tool: str, how: str
) -> None:
    thread, results = in_background(lambda: call(server, era, "wait", folder=str(tmp_path), name="other"))
    assert eventually((tmp_path / "other").exists)
    answer = call(server, era, tool, how=how, folder=str(tmp_path))
    assert answer["isError"] is FAILS.get(how, False)
    assert "Traceback" not in str(answer)
    assert call(server, era, "add", a=1, b=2)["structuredContent"] == {"result": 3}
    (tmp_path / "go").touch()
    thread.join()
    assert results[0]["isError"] is False
    if how == "fork":
        parent = (tmp_path / str(server.process.pid)).read_text()
        # The child came back from the tool as well, and must be gone by then; init, or nobody, has collected it.
        assert eventually((tmp_path / parent).exists)
        assert eventually(lambda: ended(int(parent)))


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_child_that_awaits_does_not_become_a_second_server(server: HttpServer, tmp_path: Path) -> None:
    for _ in range(3):
        assert call(server, "modern", "misbehave_async", how="fork and await", folder=str(tmp_path))["isError"] is False
    assert call(server, "modern", "add", a=1)["isError"] is False
    assert not (tmp_path / "second server").exists()


def test_a_child_that_stays_holds_no_connection_open(server: HttpServer, tmp_path: Path) -> None:
    connection = server.connection()
    connection.request("POST", "/mcp", b"", {"connection": "close", "content-type": "application/json"})
    answer = connection.getresponse()
    call(server, "modern", "misbehave", how="fork and stay", folder=str(tmp_path))
    assert eventually((tmp_path / "child").exists)
    connections = []
    for _ in range(3):
        made = server.connection()
        made.request("GET", "/healthz", headers={"connection": "close"})
        assert made.getresponse().read() == b'{"status":"ok"}'  # to the end of the connection
        connections.append(made)
    answer.read()
    connection.close()
    child = int((tmp_path / "child").read_text())
    held = [entry for entry in Path(f"/proc/{child}/fd").iterdir() if _socket_of(entry, server.port)]
    assert held == []
    os.kill(child, signal.SIGKILL)


def _socket_of(entry: Path, port: int) -> bool:
    try:
        target = str(entry.readlink())
    except OSError:
        return False
    if not target.startswith("socket:["):
        return False
    inode = target[8:-1]
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(row.split()[9] == inode and int(row.split()[1].partition(":")[2], 16) == port for row in table)


class TestLostThreads:
    """Of a server."""

    @pytest.fixture
    def server(self, bundle: Path) -> Iterator[HttpServer]:
        with http_server(bundle, {"serve": {"concurrency": 4, "timeout": 20, "drain": 10}}) as running:
            yield running

    def test_past_a_share_the_process_turns_unready_and_is_recycled(self, server: HttpServer, tmp_path: Path) -> None:
        other, results = in_background(lambda: call(server, "legacy", "wait", folder=str(tmp_path), name="other"))
        assert eventually((tmp_path / "other").exists)
        for number in range(2):
            answer = call(server, "modern", "hang", folder=str(tmp_path), name=str(number))
            assert "timed out after 0.1 s" in str(answer)
        assert server.request("GET", "/readyz")[0] == 200
        assert call(server, "modern", "add", a=1)["isError"] is False
        assert call(server, "legacy", "hang", folder=str(tmp_path), name="2")["isError"] is True
        assert eventually(lambda: reasons(server) == ["threads"])
        assert server.process.poll() is None  # it waits for the other call
        (tmp_path / "go").touch()
        other.join()
        assert results[0]["isError"] is False
        assert server.process.wait(20) == 75
        told = [line["msg"] for line in server.lines()]
        assert len([line for line in told if "its thread is lost" in line]) == 3
        assert any("to be started anew" in line for line in told)

    def test_a_thread_that_comes_back_late_is_no_loss(self, server: HttpServer, tmp_path: Path) -> None:
        for number in range(6):
            assert call(server, "modern", "hang", folder=str(tmp_path), name=str(number))["isError"] is True
            (tmp_path / f"go {number}").touch()
            assert call(server, "modern", "add", a=1)["isError"] is False
        assert server.request("GET", "/readyz")[0] == 200


def reasons(server: HttpServer) -> list[str]:
    status, _, body = server.request("GET", "/readyz")
    return [] if status == 200 else list(json.loads(body)["reasons"])


def test_resources_and_prompts_have_a_limit_too(bundle: Path) -> None:
    with http_server(bundle, {"serve": {"timeout": 0.1}}) as server:
        for ask in (server.legacy, server.modern):
            for method, params in (("resources/read", {"uri": "slow://a"}), ("prompts/get", {"name": "slow_prompt"})):
                error = ask(method, params)["error"]
                assert error["code"] == -32603
                assert "timed out after 0.1 s" in error["message"]

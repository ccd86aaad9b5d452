"""``mcp-pack run``: in the foreground, reloaded on save, over both transports, ended by Ctrl-C without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

from mcp_packager.errors import PackError
from mcp_packager.verify import McpClient, RefusedError, UnreachableError
from tests.cli.process import START, run
from tests.pipeline.projects import CODE, ok, project

PATIENCE = 60.0


@contextlib.contextmanager
def running(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", START, "run", "--project", str(folder), *arguments]
    environment = {**os.environ, **(env or {})}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True, env=environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def answer(port: int, wanted: str, process: subprocess.Popen[bytes]) -> str:
    """What ``shout`` says, asked until it says what is wanted or time is up."""
    deadline = time.monotonic() + PATIENCE
    said = ""
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(PackError):
            result = McpClient(f"http://127.0.0.1:{port}/mcp", timeout=5).call_tool("shout", {"text": "abc"})
            said = str(result["content"][0]["text"])
            if said == wanted:
                return said
        time.sleep(0.05)
    return said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_the_saved_files_and_reloads_them(tmp_path: Path, number: int) -> None:
    folder = project(tmp_path / "shouter")
    ok(folder, "lock")
    port = free_port()
    with running(folder, "--port", str(port), "--reload") as process:
        assert answer(port, "ABC", process) == "ABC"
        (folder / "server.py").write_text("this is not Python\n", encoding="utf-8")
        project(folder, code=CODE.replace("text.upper()", "text.upper() + '?'"))
        assert answer(port, "ABC?", process) == "ABC?"
        os.kill(process.pid, number)
        assert process.wait(PATIENCE) == 0
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), timeout=2)


def test_ctrl_c_on_a_terminal_ends_it_quietly(tmp_path: Path) -> None:
    folder = project(tmp_path / "shouter")
    port = free_port()
    with running(folder, "--port", str(port)) as process:
        assert answer(port, "ABC", process) == "ABC"
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert b"Traceback" not in err


def test_told_to_end_it_ends_its_server_too(tmp_path: Path) -> None:
    folder = project(tmp_path / "shouter")
    port = free_port()
    with running(folder, "--port", str(port)) as process:
        assert answer(port, "ABC", process) == "ABC"
        process.terminate()
        assert process.wait(PATIENCE) == 0
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), timeout=2)


def test_over_stdio_to_a_client_of_another_make(tmp_path: Path) -> None:
    folder = project(tmp_path / "shouter")
    command = ["-c", START, "run", "--transport", "stdio", "--project", str(folder)]

    async def shout() -> object:
        server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
        async with Client(server) as client:
            result = await client.call_tool("shout", {"text": "abc"})
            return result.structured_content

    assert asyncio.run(shout()) == {"result": "ABC"}


def test_callers_are_asked_and_services_are_where_they_are(tmp_path: Path) -> None:
    code = """
import os

from mcp_tool import tool


@tool
def seen() -> list[str]:
    \"\"\"What the code finds in its environment.\"\"\"
    return [os.environ["SEARCH"], os.environ.get("CALLERS", "no key"), os.environ["INNER"]]
"""
    with socket.create_server(("127.0.0.1", 0)) as service:
        manifest = f"""
[tool]
name = "asked"
entrypoint = "server"

[secrets.CALLERS]

[secrets.INNER]

[services.search]
external = "127.0.0.1:{service.getsockname()[1]}"
provides = {{ SEARCH = "{{host}}:{{port}}" }}

[serve]
auth = {{ mode = "bearer", keys = ["CALLERS"] }}

[stage.platform.serve]
auth = {{ mode = "iam" }}
"""
        folder = project(tmp_path / "asked", code=code, manifest=manifest)
        port = free_port()
        secrets = {"CALLERS": "a-key-of-sixteen-signs", "INNER": "inner"}
        with running(folder, "--port", str(port), env=secrets) as process:
            deadline = time.monotonic() + PATIENCE
            while True:
                assert process.poll() is None
                assert time.monotonic() < deadline
                with contextlib.suppress(UnreachableError):
                    with pytest.raises(RefusedError, match="asks who is calling"):
                        McpClient(f"http://127.0.0.1:{port}/mcp").discover()
                    break
                time.sleep(0.05)
            client = McpClient(f"http://127.0.0.1:{port}/mcp", token=lambda: secrets["CALLERS"])
            address = f"127.0.0.1:{service.getsockname()[1]}"
            assert client.call_tool("seen", {})["structuredContent"] == {"result": [address, "no key", "inner"]}
        done = run("run", "--stage", "platform", "--project", str(folder), env=secrets)
        assert done.returncode == 1
        assert "serve.auth.mode" in done.stderr


@pytest.mark.parametrize(("host", "said"), [("0.0.0.0", True), ("127.0.0.1", False), ("localhost", False)])
def test_it_says_where_a_network_may_call(tmp_path: Path, host: str, said: bool) -> None:
    folder = project(tmp_path / "shouter")
    port = free_port()
    with running(folder, "--host", host, "--port", str(port)) as process:
        assert answer(port, "ABC", process) == "ABC"
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert (b"whoever reaches it in its network may call" in err) is said


def test_reload_is_refused_where_it_would_cut_the_client_off(tmp_path: Path) -> None:
    folder = project(tmp_path / "shouter")
    done = run("run", "--transport", "stdio", "--reload", "--project", str(folder))
    assert done.returncode == 1
    assert "--transport http" in done.stderr

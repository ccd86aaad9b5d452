"""A start that fails says so in one line, exits 1 and shows no traceback but the author's."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import Any

import pytest

from tests.serve.process import HttpServer, command, http_server, make_bundle, stdio_server

GOOD = '''
import os

from mcp_tool import tool


@tool
def shown(name: str) -> str | None:
    """Show a variable.

    Args:
        name: Its name.
    """
    return os.environ.get(name)
'''


def fail(bundle: Path, *arguments: str, **env: str) -> dict[str, Any]:
    done = subprocess.run(
        command(bundle, *(arguments or ("--transport", "http", "--port", "0"))),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **env},
    )
    assert done.returncode == 1, done.stderr
    last: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    assert last["level"] == "error"
    assert last["fix"]
    assert not [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert "mcp_tool/" not in done.stderr
    return last


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_the_authors_import_error_shows_their_frames_alone(tmp_path: Path, transport: str) -> None:
    bundle = make_bundle(tmp_path / "b", "import json\n\ndef inner():\n    json.loads('{')\n\ninner()\n")
    last = fail(bundle, "--transport", transport)
    assert "JSONDecodeError" in last["msg"] + last["traceback"]
    assert "inner()" in last["traceback"]
    assert "importlib" not in last["traceback"]


def test_a_module_that_is_not_there(tmp_path: Path) -> None:
    assert "nowhere" in fail(make_bundle(tmp_path / "b", GOOD, entrypoint="nowhere"))["msg"]


def test_a_module_that_ends_the_process(tmp_path: Path) -> None:
    assert "exit" in fail(make_bundle(tmp_path / "b", "import sys\nsys.exit(3)\n"))["msg"].lower()


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_an_own_start_that_fails(tmp_path: Path, transport: str) -> None:
    source = """
from contextlib import asynccontextmanager

from mcp.server import MCPServer


@asynccontextmanager
async def lifespan(server):
    raise ValueError("no database")
    yield


server = MCPServer("theirs", lifespan=lifespan)
"""
    bundle = make_bundle(tmp_path / "b", source, entrypoint="server:server")
    last = fail(bundle, "--transport", transport, "--port", "0")
    assert "ValueError: no database" in last["msg"]
    assert "in lifespan" in last["traceback"]


def test_settings_that_are_not_there(tmp_path: Path) -> None:
    source = """
from mcp_tool import Settings, tool


class Mine(Settings):
    api_key: str
    size: int


@tool
def show(mine: Mine) -> int:
    "Show the size."
    return mine.size
"""
    last = fail(make_bundle(tmp_path / "b", source), SIZE="hunter2")
    assert "API_KEY" in last["msg"]
    assert "hunter2" not in json.dumps(last)


def test_declarations_that_do_not_hold(tmp_path: Path) -> None:
    last = fail(make_bundle(tmp_path / "b", "from mcp_tool import tool\n\n@tool\ndef bare(): ...\n"))
    assert "bare" in last["msg"]


def test_a_bundle_that_is_none(tmp_path: Path) -> None:
    assert "tool.json" in fail(tmp_path)["msg"]


def test_a_newer_config(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b", GOOD)
    (tmp_path / "config.json").write_text('{"schema": 2}', encoding="utf-8")
    assert (
        "schema 2"
        in fail(bundle, "--transport", "http", "--port", "0", "--config", str(tmp_path / "config.json"))["msg"]
    )


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with http_server(make_bundle(tmp_path / "a", GOOD)) as server:
        last = fail(make_bundle(tmp_path / "b", GOOD), "--transport", "http", "--port", str(server.port))
    assert f"port {server.port}" in last["msg"]
    assert "--port" in last["fix"]


def test_missing_secrets_are_all_named_and_none_is_shown(tmp_path: Path) -> None:
    secrets = {
        "ONE": {"as": "env", "required": True, "description": ""},
        "TWO": {"as": "file", "required": True, "description": ""},
        "THREE": {"as": "env", "required": True, "description": ""},
        "FOUR": {"as": "env", "required": False, "description": ""},
    }
    last = fail(make_bundle(tmp_path / "b", GOOD, secrets=secrets), THREE="hunter2")
    assert "ONE" in last["msg"]
    assert "TWO" in last["msg"]
    assert "THREE" not in last["msg"]
    assert "FOUR" not in last["msg"]
    assert "hunter2" not in json.dumps(last)


def _shown(server: HttpServer, name: str) -> Any:
    return server.modern("tools/call", {"name": "shown", "arguments": {"name": name}})["result"]["structuredContent"]


def test_env_and_secrets_are_there_before_the_import(tmp_path: Path) -> None:
    source = GOOD + "\nFOUND = os.environ['GREETING'] + os.environ['TOKEN'] + open(os.environ['PEM']).read()\n"
    source += '\n\n@tool\ndef at_import() -> str:\n    """What was there."""\n    return FOUND\n'
    secrets = {"TOKEN": {"as": "env", "required": True}, "PEM": {"as": "file", "required": True}}
    (tmp_path / "token").write_text("-secret-\n", encoding="utf-8")
    config = {
        "env": {"GREETING": "hello"},
        "secrets": {"TOKEN": {"file": str(tmp_path / "token")}, "PEM": {"env": "KEY"}},
    }
    bundle = make_bundle(tmp_path / "b", source, secrets=secrets)
    with http_server(bundle, config, env={"KEY": "pem", "GREETING": "from outside"}) as server:
        answer = server.modern("tools/call", {"name": "at_import", "arguments": {}})["result"]
        assert answer["structuredContent"] == {"result": "hello-secret-pem"}
        private = _shown(server, "PEM")["result"]
        assert Path(private).stat().st_mode & 0o077 == 0
        assert "-secret-" not in server.log.read_text(encoding="utf-8")


def test_an_artifact_starts_without_site_packages_and_reads_pth_files(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b", GOOD + "\nimport beside\n")
    (bundle / "lib").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "beside.py").touch()
    (bundle / "lib" / "beside.pth").write_text(f"{tmp_path / 'elsewhere'}\n", encoding="utf-8")
    runtime = Path(__file__).parents[2] / "runtime"
    line = [command(bundle)[0], "-S", "-P", "-m", "mcp_tool", "serve", "--bundle", str(bundle)]
    paths = [str(bundle / "lib"), str(bundle / "app"), str(runtime), sysconfig.get_path("purelib")]
    done = subprocess.run(
        line,
        input=json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}) + "\n",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert json.loads(done.stdout)["result"] == {}, done.stderr


SECRET_FILE = (
    GOOD
    + """
import time
from pathlib import Path


@tool
def block() -> int:
    \"\"\"Never end.\"\"\"
    time.sleep(600)
    return 0
"""
)


@pytest.mark.parametrize("how", ["pipe closed", "blocked", "killed"])
def test_a_secret_written_as_a_file_goes_with_a_stdio_server(tmp_path: Path, how: str) -> None:
    bundle = make_bundle(tmp_path / "b", SECRET_FILE, secrets={"CERT": {"as": "file"}})
    folder = tmp_path / "tmp"
    folder.mkdir()
    with stdio_server(bundle, env={"CERT": "certified", "TMPDIR": str(folder)}) as server:
        server.initialize()
        server.call("shown", {"name": "CERT"})
        path = Path(server.receive()["result"]["structuredContent"]["result"])
        assert path.read_text(encoding="utf-8") == "certified"
        assert path.is_relative_to(folder)
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        if how == "blocked":
            server.call("block", identity=2)
        if how == "killed":
            server.process.kill()
        else:
            server.stdin.close()
        server.process.wait(10)
    _emptied(folder)


@pytest.mark.parametrize("refused", [False, True])
def test_a_secret_written_as_a_file_goes_with_an_http_server(tmp_path: Path, refused: bool) -> None:
    secrets = {"CERT": {"as": "file"}} | ({"OTHER": {"as": "env"}} if refused else {})
    bundle = make_bundle(tmp_path / "b", SECRET_FILE, secrets=secrets)
    folder = tmp_path / "tmp"
    folder.mkdir()
    env = {"CERT": "certified", "TMPDIR": str(folder)}
    if refused:
        assert "OTHER" in fail(bundle, **env)["msg"]
    else:
        with http_server(bundle, env=env) as server:
            assert list(folder.glob("mcp-tool-*/CERT"))
            server.process.terminate()
            server.process.wait(20)
    _emptied(folder)


def _emptied(folder: Path) -> None:
    deadline = time.monotonic() + 10
    while (left := list(folder.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left == []

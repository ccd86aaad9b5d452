"""The zip, unpacked read-only, in AWS's emulator under AWS's runtime, on every Python that Lambda has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import real_parts
from tests.lambda_.asking import HELLO, event, legacy, modern, result
from tests.lambda_.conftest import Task
from tests.lambda_.emulator import Emulated, emulated
from tests.lambda_.test_streaming import with_contract
from tests.pipeline.projects import MANIFEST, project
from tests.serve.process import LEGACY, make_bundle

CODE = '''
import os
import sys

from pydantic import BaseModel

from mcp_tool import ToolError, resource, tool


class Seen(BaseModel):
    python: str
    sdk: bool
    path: str


@tool
def shout(text: str) -> str:
    """Say it loud."""
    return text.upper()


@tool
def seen() -> Seen:
    """What the code finds around it."""
    return Seen(python="%d.%d" % sys.version_info[:2], sdk="mcp" in sys.modules, path=__file__)


@tool
def fail() -> str:
    """Do not work."""
    raise ToolError("it does not work")


@tool
def large(size: int) -> str:
    """Say much."""
    return "x" * size


@resource("note://one")
def note() -> str:
    """A note."""
    return "noted"
'''
CONFIG = {"schema": 1, "target": "lambda", "serve": {"listen": False, "timeout": 20}, "emf": {}}
MINORS = [
    pytest.param(minor, marks=pytest.mark.real("lambda-emulator", f"python{minor}"))
    for minor in ("3.12", "3.13", "3.14")
]


@dataclass(frozen=True)
class Running:
    """A function, its files, and the Python that runs it."""

    function: Emulated
    task: Path
    minor: str


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(tmp_path_factory.mktemp("project") / "loud", code=CODE)


@pytest.fixture(scope="module", params=MINORS)
def running(
    request: pytest.FixtureRequest, folder: Path, task: Task, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    minor = request.param
    files, log = task(folder, minor), tmp_path_factory.mktemp("log") / "log"
    env = {"MCP_TOOL_CONFIG_DATA": json.dumps(CONFIG)}
    with emulated(real_parts.lambda_emulator(), files, real_parts.python(minor), minor, log, env) as function:
        yield Running(function, files, minor)


@pytest.mark.real("lambda-emulator", "python3.13")
def test_a_start_that_fails_is_told_in_one_line_and_to_whoever_invokes(task: Task, tmp_path: Path) -> None:
    manifest = f'{MANIFEST}\n[secrets.TOKEN]\ndescription = "A token"\n'
    files = task(project(tmp_path / "loud", manifest=manifest), "3.13")
    root, python = real_parts.lambda_emulator(), real_parts.python("3.13")
    with emulated(root, files, python, "3.13", tmp_path / "log") as function:
        answer = function.invoke(modern("server/discover", {}))
        lines = [line for line in function.lines() if line.get("level") == "error"]
    assert answer.failed
    assert answer.document["errorType"] == "Runtime.StartProblem"
    assert "TOKEN" in answer.document["errorMessage"]
    assert "required secrets have no value: TOKEN" in lines[0]["msg"]
    assert "Traceback" not in (tmp_path / "log").read_text()


_COPY = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from awslambdaric.lambda_runtime_hooks_runner import run_after_restore
from mcp_tool.serve.aws.handler import Handler
handler = Handler(Path(sys.argv[2]))
assert "mcp.server" in sys.modules, "the snapshot holds the SDK"
Path(sys.argv[3]).write_text("after")
run_after_restore()
class Context:
    aws_request_id = "1"
print(json.dumps(handler(json.loads(sys.argv[4]), Context())))
"""


@pytest.mark.real("lambda-emulator")
def test_a_copy_of_a_snapshot_begins_by_aws_s_hooks(tmp_path: Path) -> None:
    """The emulator takes no snapshots; the hooks are those of AWS's package, called as its runtime calls them."""
    source = CODE + '\n\n@tool\ndef token() -> str:\n    """Tell it."""\n    return os.environ["TOKEN"]\n'
    bundle = with_contract(make_bundle(tmp_path / "task", source, secrets={"TOKEN": {}}))
    secret = tmp_path / "secret"
    secret.write_text("before")
    (bundle / "config.json").write_text(json.dumps({"secrets": {"TOKEN": {"file": str(secret)}}}))
    packages = real_parts.lambda_emulator() / f"{sys.version_info[0]}.{sys.version_info[1]}"
    call = json.dumps(modern("tools/call", {"name": "token", "arguments": {}}))
    done = subprocess.run(
        [sys.executable, "-c", _COPY, str(packages), str(bundle), str(secret), call],
        env={**os.environ, "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result(json.loads(done.stdout))["content"][0]["text"] == "after"


class TestBothEras:
    """In the order in which they stand: the first request is the cold start."""

    def test_a_call_needs_nothing_of_the_sdk(self, running: Running) -> None:
        for _ in ("cold", "warm"):
            answer = running.function.invoke(modern("tools/call", {"name": "seen", "arguments": {}})).document
            found = result(answer)["structuredContent"]
            path = str(running.task / "app" / "server.py")
            assert found == {"python": running.minor, "sdk": False, "path": path}

    def test_an_older_client_s_greeting_needs_nothing_of_it_either(self, running: Running) -> None:
        invoke = running.function.invoke
        assert result(invoke(legacy("initialize", HELLO)).document)["protocolVersion"] == LEGACY
        assert invoke(legacy("notifications/initialized", identity=None)).document["statusCode"] == 202
        assert result(invoke(legacy("ping")).document) == {}
        names = [tool["name"] for tool in result(invoke(legacy("tools/list")).document)["tools"]]
        assert sorted(names) == ["fail", "large", "seen", "shout"]
        called = result(invoke(legacy("tools/call", {"name": "seen", "arguments": {}})).document)
        assert called["structuredContent"]["sdk"] is False

    def test_what_only_the_sdk_knows_is_answered_by_it(self, running: Running) -> None:
        for _ in ("first", "second"):
            answer = result(running.function.invoke(modern("resources/read", {"uri": "note://one"})).document)
            assert answer["contents"][0]["text"] == "noted"
        older = result(running.function.invoke(legacy("resources/read", {"uri": "note://one"})).document)
        assert older["contents"][0]["text"] == "noted"

    def test_nobody_can_listen(self, running: Running) -> None:
        found = result(running.function.invoke(modern("server/discover", {})).document)
        assert found["capabilities"]["tools"] == {"listChanged": False}
        answer = running.function.invoke(modern("subscriptions/listen", {"notifications": {}})).document
        assert answer["statusCode"] == 404
        assert running.function.invoke(event("GET")).document["statusCode"] == 405

    def test_the_host_is_the_platform_s_word(self, running: Running) -> None:
        answer = running.function.invoke(modern("server/discover", {}, domainName="other.example")).document
        assert answer["statusCode"] == 421

    def test_a_failed_call_is_seen_in_the_metrics(self, running: Running) -> None:
        failed = result(running.function.invoke(modern("tools/call", {"name": "fail", "arguments": {}})).document)
        assert failed["isError"] is True
        (line,) = [line for line in running.function.lines() if line.get("tool") == "fail" and "_aws" in line]
        assert (line["Calls"], line["Errors"], line["error_type"]) == (1, 1, "tool_error")
        assert line["function_version"] == "7"
        logged = [line for line in running.function.lines() if line.get("tool") == "fail" and "msg" in line]
        assert logged[0]["outcome"] == "error"
        assert len(logged[0]["request_id"]) == 36

    def test_an_answer_that_does_not_fit_is_told_as_one(self, running: Running) -> None:
        call = modern("tools/call", {"name": "large", "arguments": {"size": 4_000_000}})
        answer = running.function.invoke(call)
        assert not answer.failed
        message = json.loads(answer.document["body"])
        assert message["id"] == 1
        assert "larger than the 6291456 bytes" in message["error"]["message"]

    def test_what_is_no_request_is_refused(self, running: Running) -> None:
        answer = running.function.invoke({"hello": "world"})
        assert answer.failed
        assert answer.document["errorType"] == "UnknownEventError"

    def test_nothing_was_written_into_the_function_s_files(self, running: Running) -> None:
        assert not list(running.task.rglob("*.pyc.*"))
        assert not (running.task / "__pycache__").exists()

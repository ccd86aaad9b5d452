"""Nothing but messages reaches the client's pipe, in both eras, and nothing asked before the end is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serve.process import ENVELOPE, make_bundle, stdio_server

SOURCE = '''
import os
import subprocess
import sys
from typing import Annotated

from pydantic import BaseModel

from mcp_tool import Ask, Context, Resolve, tool

print("printed while importing")
os.write(1, b"written while importing\\n")
sys.stdin.read()


class Sure(BaseModel):
    yes: bool


@tool
def shout() -> str:
    """Print in every way there is."""
    print("printed")
    sys.stdout.write("written\\n")
    os.write(1, b"written to the descriptor\\n")
    subprocess.run(["echo", "from a program"], check=True)
    return sys.stdin.read() or "nothing to read"


def ask(what: str) -> Ask[Sure]:
    """Ask for a yes."""
    return Ask(f"{what}?", Sure)


@tool
def confirm(what: str, sure: Annotated[Sure, Resolve(ask)]) -> str:
    """Ask before doing.

    Args:
        what: What to do.
    """
    return f"{what}: {sure.yes}"


@tool
async def tell(context: Context) -> str:
    """Log, report, and say that a resource changed."""
    await context.log.debug("low")
    await context.log.warning("high")
    await context.progress(1, 2, "half")
    await context.resource_updated("test://one")
    return "told"
'''


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("wire") / "bundle", SOURCE)


def test_prints_do_not_reach_the_wire(bundle: Path) -> None:
    with stdio_server(bundle) as server:
        server.initialize()
        server.call("shout")
        answer = server.receive()
    assert answer["result"]["structuredContent"] == {"result": "nothing to read"}
    log = (bundle / "stderr.log").read_text(encoding="utf-8")
    for line in ("printed while importing", "written while importing", "printed", "from a program"):
        assert line in log.splitlines()


def test_the_newer_era_needs_no_handshake(bundle: Path) -> None:
    with stdio_server(bundle) as server:
        server.send(id=1, method="tools/call", params={"name": "shout", "arguments": {}, "_meta": ENVELOPE})
        answer = server.receive()
    assert answer["result"]["resultType"] == "complete"
    assert answer["result"]["_meta"]["io.modelcontextprotocol/serverInfo"] == {"name": "test-tool", "version": "1.2.3"}


def test_an_older_client_is_asked_while_the_call_runs(bundle: Path) -> None:
    with stdio_server(bundle) as server:
        server.initialize(elicitation={})
        server.call("confirm", {"what": "delete"})
        question = server.receive()
        assert question["method"] == "elicitation/create"
        assert question["params"]["message"] == "delete?"
        server.send(id=question["id"], result={"action": "accept", "content": {"yes": True}})
        assert server.receive()["result"]["structuredContent"] == {"result": "delete: True"}


def test_a_newer_client_is_asked_between_two_rounds(bundle: Path) -> None:
    meta = {**ENVELOPE, "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}}
    call = {"name": "confirm", "arguments": {"what": "delete"}, "_meta": meta}
    with stdio_server(bundle) as server:
        server.send(id=1, method="tools/call", params=call)
        round_one = server.receive()["result"]
        assert round_one["resultType"] == "input_required"
        (key,) = round_one["inputRequests"]
        answers = {key: {"action": "accept", "content": {"yes": True}}}
        again = {**call, "inputResponses": answers}
        if "requestState" in round_one:
            again["requestState"] = round_one["requestState"]
        server.send(id=2, method="tools/call", params=again)
        assert server.receive()["result"]["structuredContent"] == {"result": "delete: True"}


def test_log_level_progress_and_updates_of_the_older_era(bundle: Path) -> None:
    with stdio_server(bundle) as server:
        server.initialize()
        server.send(id=2, method="logging/setLevel", params={"level": "warning"})
        assert server.receive()["result"] == {}
        params = {"name": "tell", "arguments": {}, "_meta": {"progressToken": "p"}}
        server.send(id=3, method="tools/call", params=params)
        seen = []
        while "result" not in (message := server.receive()):
            seen.append((message["method"], message["params"]))
    assert seen == [
        ("notifications/message", {"level": "warning", "data": "high", "logger": seen[0][1].get("logger")})
        if "logger" in seen[0][1]
        else ("notifications/message", {"level": "warning", "data": "high"}),
        ("notifications/progress", {"progressToken": "p", "progress": 1, "total": 2, "message": "half"}),
        ("notifications/resources/updated", {"uri": "test://one"}),
    ]


def test_what_was_asked_right_before_the_end_is_answered(bundle: Path) -> None:
    with stdio_server(bundle) as server:
        server.initialize()
        server.call("shout")
        server.stdin.close()
        assert server.receive()["id"] == 1
        assert server.stdout.read() == b""
        assert server.process.wait(10) == 0


def test_a_line_that_is_no_message_ends_nothing(bundle: Path) -> None:
    with stdio_server(bundle) as server:
        server.initialize()
        server.stdin.write(b"\xff\xfe not json\n\n")
        server.call("shout")
        assert server.receive()["result"]["structuredContent"] == {"result": "nothing to read"}


def test_serve_is_what_a_generated_entry_point_does_by_default(bundle: Path) -> None:
    code = f"from pathlib import Path; from mcp_tool.__main__ import main; main([], bundle=Path({str(bundle)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps({"jsonrpc": "2.0", "id": 7, "method": "ping"}) + "\n",
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert json.loads(done.stdout) == {"jsonrpc": "2.0", "id": 7, "result": {}}

"""Our own runtime loop: answers that are streamed, told to a fake of the Runtime API as the real one is told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from mcp_packager.bundle import content
from mcp_packager.testing.aws.runtime_api import RuntimeApi, serving
from mcp_targets.aws_lambda.package import entries
from mcp_tool.serve.aws import events, streaming
from mcp_tool.serve.aws.function import CutShortError, Sink
from tests.lambda_.asking import event, legacy, modern
from tests.serve.collector import collector
from tests.serve.process import ENVELOPE, JSON, MODERN, make_bundle, message

SOURCE = '''
import asyncio
import os
import random
import time
from pathlib import Path

from mcp_tool import Context, provide, tool


class Client:
    def __init__(self) -> None:
        self.made = os.environ.get("TOKEN", "")


@provide
def client() -> Client:
    return Client()


@tool
async def steps(ctx: Context, folder: Path) -> str:
    """Tell of a step, and wait until somebody has heard of it."""
    await ctx.progress(1, 2, "half")
    while not (folder / "heard").exists():
        await asyncio.sleep(0.01)
    return "done"


@tool
def state(client: Client) -> dict[str, str]:
    """What differs between environments."""
    return {"random": str(random.random()), "client": client.made, "secret": os.environ["TOKEN"]}


@tool
async def large(size: int) -> str:
    """Say much."""
    print("printed")
    return "x" * size
'''


@dataclass(frozen=True)
class Runtime:
    """A function that our own loop runs."""

    api: RuntimeApi
    process: subprocess.Popen[str]

    def end(self) -> tuple[int, list[dict[str, Any]]]:
        """The exit code, and what it logged."""
        _, text = self.process.communicate(timeout=30)
        return self.process.returncode, [json.loads(line) for line in text.splitlines()]


@contextlib.contextmanager
def running(
    folder: Path, config: Mapping[str, Any] | None = None, command: Sequence[str] = (), **env: str
) -> Iterator[Runtime]:
    """Start `mcp-stream` as Lambda does, or another command, against the fake."""
    for entry in entries():
        (folder / entry.path).write_bytes(content(entry))
        (folder / entry.path).chmod(entry.mode)
    with serving() as api:
        around = {
            **os.environ,
            "AWS_LAMBDA_RUNTIME_API": api.place,
            "MCP_TOOL_CONFIG_DATA": json.dumps({"schema": 1, "serve": {"listen": False}, **(config or {})}),
            **env,
        }
        line = [str(folder / "mcp-stream"), sys.executable, "/var/runtime/bootstrap.py"]
        with (folder / "printed").open("wb") as printed:
            process = subprocess.Popen(command or line, env=around, stdout=printed, stderr=subprocess.PIPE, text=True)
        try:
            yield Runtime(api, process)
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return with_contract(make_bundle(tmp_path / "task", SOURCE, secrets={"TOKEN": {}}))


def with_contract(bundle: Path) -> Path:
    """A bundle with its contract, as a build leaves it."""
    line = [
        sys.executable,
        "-m",
        "mcp_tool",
        "contract",
        "--bundle",
        str(bundle),
        "--output",
        str(bundle / "contract.json"),
    ]
    subprocess.run(line, check=True)
    return bundle


def test_progress_is_on_its_way_while_the_tool_runs(bundle: Path, tmp_path: Path) -> None:
    params = {"name": "steps", "arguments": {"folder": str(tmp_path)}, "_meta": {**ENVELOPE, "progressToken": 7}}
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    headers = JSON | {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "steps"}
    with running(bundle, TOKEN="t") as runtime:
        heard = _heard(runtime.api, event("POST", body=text, headers=headers), tmp_path / "heard")
    head, body = heard.streamed()
    assert head["statusCode"] == 200
    assert head["headers"]["content-type"] == "text/event-stream"
    assert b"half" in body
    assert message(body)["result"]["content"][0]["text"] == "done"
    assert heard.trailers == {}


def _heard(api: RuntimeApi, sent: Any, mark: Path) -> Any:
    """Invoke, and leave the mark when the first part of the answer's body is there, the end of which waits for it."""
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(api.invoke(sent)))
    thread.start()
    pieces = api.begun().pieces()
    next(pieces)  # the head
    next(pieces)
    mark.touch()
    thread.join(60)
    return done[0]


def test_a_short_answer_is_a_stream_too_and_the_function_goes_on(bundle: Path) -> None:
    with running(bundle, TOKEN="t") as runtime:
        for count in (1, 2):
            posted = runtime.api.invoke(modern("server/discover", {}))
            assert posted.path == f"/invocation/request-{count}/response"
            head, body = posted.streamed()
            assert head["headers"]["content-type"] == "application/json"
            assert json.loads(body)["result"]["supportedVersions"] == [MODERN]
        head, _ = runtime.api.invoke(event("GET")).streamed()
        assert (head["statusCode"], head["headers"]["allow"]) == (405, "POST")
        head, body = runtime.api.invoke(legacy("notifications/initialized", identity=None)).streamed()
        assert (head["statusCode"], body) == (202, b"")


def test_whoever_invokes_the_function_itself_gets_the_answer_whole(bundle: Path) -> None:
    with running(bundle, TOKEN="t") as runtime:
        posted = runtime.api.invoke(modern("server/discover", {}, mcpPack={"answer": "whole"}))
    assert "lambda-runtime-function-response-mode" not in posted.headers
    answer = json.loads(posted.body)
    assert answer["statusCode"] == 200
    assert message(answer["body"].encode())["result"]["supportedVersions"] == [MODERN]


def test_an_image_starts_the_same_loop_for_answers_in_one_piece(bundle: Path) -> None:
    command = [sys.executable, "-m", "mcp_tool.serve.aws", "--bundle", str(bundle)]
    with running(bundle, None, command, TOKEN="t") as runtime:
        posted = runtime.api.invoke(modern("tools/call", {"name": "large", "arguments": {"size": 10}}))
        assert "lambda-runtime-function-response-mode" not in posted.headers
        assert message(json.loads(posted.body)["body"].encode())["result"]["content"][0]["text"] == "x" * 10
        assert (bundle / "printed").read_text() == "printed\n", "nothing waits for a next invocation"
    with running(bundle, None, [*command, "--streamed"], TOKEN="t") as runtime:
        assert runtime.api.invoke(modern("server/discover", {})).streamed()[0]["statusCode"] == 200


def test_a_stream_may_be_larger_than_an_answer_in_one_piece(bundle: Path) -> None:
    with running(bundle, TOKEN="t") as runtime:
        _, body = runtime.api.invoke(
            modern("tools/call", {"name": "large", "arguments": {"size": 7_000_000}})
        ).streamed()
    assert message(body)["result"]["content"][0]["text"] == "x" * 7_000_000


def test_what_is_no_request_fails_and_the_next_is_answered(bundle: Path) -> None:
    with running(bundle, TOKEN="t") as runtime:
        posted = runtime.api.invoke({"hello": "world"})
        assert posted.path == "/invocation/request-1/error"
        assert posted.headers["lambda-runtime-function-error-type"] == "UnknownEventError"
        assert json.loads(posted.body)["errorType"] == "UnknownEventError"
        assert runtime.api.invoke(modern("server/discover", {})).streamed()[0]["statusCode"] == 200


def test_a_start_that_fails_says_so_once_and_to_lambda(bundle: Path) -> None:
    with running(bundle) as runtime:
        posted = runtime.api.posted()
        code, lines = runtime.end()
    assert code == 1
    assert posted.path == "/init/error"
    assert posted.headers["lambda-runtime-function-error-type"] == "Runtime.StartProblem"
    assert "TOKEN" in json.loads(posted.body)["errorMessage"]
    (line,) = lines
    assert line["level"] == "error"
    assert "required secrets have no value: TOKEN" in line["msg"]


def test_what_no_two_copies_may_share_is_made_after_the_snapshot(bundle: Path) -> None:
    """The fake cannot copy a process; what is held is the order: nothing of it is there before it may be copied."""
    call = modern("tools/call", {"name": "state", "arguments": {}})
    token = bundle / "token"
    token.write_text("before")
    config = {"secrets": {"TOKEN": {"file": str(token)}}}
    seen = []
    for _ in range(2):
        token.write_text("before")
        with running(bundle, config, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") as runtime:
            runtime.api.await_snapshot()
            token.write_text("after")
            runtime.api.restore()
            _, body = runtime.api.invoke(call).streamed()
            seen.append(message(body)["result"]["structuredContent"])
    assert seen[0]["random"] != seen[1]["random"]
    assert [(one["client"], one["secret"]) for one in seen] == [("after", "after")] * 2


def test_a_copy_that_cannot_begin_is_reported(bundle: Path) -> None:
    token = bundle / "token"
    token.write_text("before")
    config = {"secrets": {"TOKEN": {"file": str(token)}}}
    with running(bundle, config, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") as runtime:
        runtime.api.await_snapshot()
        token.unlink()
        runtime.api.restore()
        posted = runtime.api.posted()
        code, lines = runtime.end()
    assert (code, posted.path) == (1, "/restore/error")
    assert "TOKEN" in json.loads(posted.body)["errorMessage"]
    assert "required secrets have no value: TOKEN" in lines[-1]["msg"]


def test_an_answer_that_ends_before_it_is_whole_is_told_as_that() -> None:
    """The status is on its way by then; trailers say the rest."""

    class Breaks:
        def asked(self, event: Any) -> events.Asked:
            return events.read(event, lambda _: True)

        async def serve(self, asked: events.Asked, request_id: str, sink: Sink) -> None:
            await sink.begin(200, [(b"content-type", b"text/event-stream")])
            await sink.more(b"half of")
            raise CutShortError

    with serving() as api:
        came = streaming.Invocation("one", "", modern("server/discover", {}))
        asyncio.run(streaming.serve_one(cast("Any", Breaks()), streaming.Api(api.place), came))
        posted = api.posted()
    assert posted.streamed() == ({"statusCode": 200, "headers": {"content-type": "text/event-stream"}}, b"half of")
    assert posted.trailers["lambda-runtime-function-error-type"] == "Runtime.CutShortError"
    told = json.loads(base64.b64decode(posted.trailers["lambda-runtime-function-error-body"]))
    assert told["errorMessage"] == "the answer ended before it was whole"


def test_traces_are_sent_before_the_answer_is_over(bundle: Path) -> None:
    """What is left for later may never be sent: the environment is frozen until the next request, if there is one."""
    call = modern("tools/call", {"name": "large", "arguments": {"size": 3}})
    with contextlib.ExitStack() as stack:
        collected = stack.enter_context(collector())
        config = {"telemetry": {"otlp": collected.url}, "emf": {}}
        runtime = stack.enter_context(running(bundle, config, TOKEN="t"))
        _, body = runtime.api.invoke(call).streamed()
        spans = [span.name for span in collected.spans()]
    assert message(body)["result"]["content"][0]["text"] == "xxx"
    assert spans == ["tools/call large"]
    assert collected.metric("mcp.server.operation.duration")

"""A runtime of our own for answers that are streamed, which AWS's runtime for Python does not do.

It speaks Lambda's Runtime API (Lambda developer guide, "Using the Lambda runtime API" and "Response streaming for
custom runtimes"): an answer is posted in chunks with `Lambda-Runtime-Function-Response-Mode: streaming`; before the
body stand its status and headers as JSON, and eight zero bytes; what goes wrong on the way is told in trailers.

`mcp-stream` at the top of the zip, named in `AWS_LAMBDA_EXEC_WRAPPER`, starts it in the place of AWS's. In an image,
which has nothing of AWS's, `python -m mcp_tool.serve.aws` does, for answers in one piece as well.
"""

import asyncio
import base64
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from mcp_tool.serve import start
from mcp_tool.serve.aws import events, failing, handler
from mcp_tool.serve.aws.failing import PREFIX, TYPE
from mcp_tool.serve.aws.function import CutShortError, Function

STREAMED: Final = "application/vnd.awslambda.http-integration-response"
_MODE: Final = "Lambda-Runtime-Function-Response-Mode"
_BODY: Final = "Lambda-Runtime-Function-Error-Body"
_END_OF_HEAD: Final = bytes(8)
_LARGEST: Final = 64 * 1024 * 1024
"""Bytes of an answer of the Runtime API; an event has 6 MB at most."""

logger = logging.getLogger("mcp_tool.serve")


class RuntimeApiError(Exception):
    """The Runtime API did not answer as it is documented."""


@dataclass(frozen=True)
class Invocation:
    """One event, and what Lambda calls it."""

    request_id: str
    trace_id: str
    event: Any


@dataclass(frozen=True)
class Api:
    """The Runtime API: `host:port`."""

    place: str

    async def next(self) -> Invocation:
        """Wait for the next event; the environment may be frozen meanwhile."""
        headers, body = await self._ask("GET", "/invocation/next")
        try:
            return Invocation(
                headers["lambda-runtime-aws-request-id"], headers.get("lambda-runtime-trace-id", ""), json.loads(body)
            )
        except (KeyError, ValueError) as error:
            msg = f"an event that cannot be read: {error!r}"
            raise RuntimeApiError(msg) from None

    async def restored(self) -> None:
        """Say that the snapshot may be taken, and wait until a copy of it wakes up."""
        await self._ask("GET", "/restore/next")

    async def respond(self, request_id: str, answer: Mapping[str, Any]) -> None:
        """Post an answer in one piece."""
        body = json.dumps(answer, ensure_ascii=False).encode("utf-8", "surrogatepass")
        await self._ask("POST", f"/invocation/{request_id}/response", body, {"Content-Type": "application/json"})

    async def fail(self, request_id: str, kind: str, message: str) -> None:
        """Post that an event has no answer."""
        body = _error(kind, message)
        headers = {"Content-Type": "application/json", TYPE: kind}
        await self._ask("POST", f"/invocation/{request_id}/error", body, headers)

    async def stream(self, request_id: str) -> "Stream":
        """Begin an answer that is sent as it is made."""
        reader, writer = await self._connect()
        trailers = f"Trailer: {TYPE}, {_BODY}"
        head = (
            f"POST {PREFIX}/invocation/{request_id}/response HTTP/1.1\r\nHost: {self.place}\r\n"
            f"Content-Type: {STREAMED}\r\n{_MODE}: streaming\r\nTransfer-Encoding: chunked\r\n{trailers}\r\n\r\n"
        )
        writer.write(head.encode("latin-1"))
        return Stream(reader, writer)

    async def _ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, str], bytes]:
        reader, writer = await self._connect()
        try:
            lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
            head = f"{method} {PREFIX}{path} HTTP/1.1\r\nHost: {self.place}\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}{lines}Connection: close\r\n\r\n".encode("latin-1") + body)
            await writer.drain()
            return await _answer(reader)
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self.place.rpartition(":")
        return await asyncio.open_connection(host, int(port), limit=1024 * 1024)


class Stream:
    """One answer on its way. Implements `mcp_tool.serve.aws.function.Sink`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def begin(self, status: int, headers: events.Raw) -> None:
        """The head: status, headers and cookies as JSON, and eight zero bytes."""
        head = json.dumps({"statusCode": status, **events.joined(headers)}, separators=(",", ":"))
        await self.more(head.encode() + _END_OF_HEAD)

    async def more(self, body: bytes) -> None:
        """A part of the body, sent at once."""
        if body:  # a chunk without bytes would be the end
            self._writer.write(b"%x\r\n%b\r\n" % (len(body), body))
            await self._writer.drain()

    async def end(self, error: BaseException | None = None) -> None:
        """The end of the body, with what went wrong before it was whole; waits until Lambda has taken it."""
        told = b""
        if error is not None:
            kind = f"Runtime.{type(error).__name__}"
            text = base64.b64encode(_error(kind, "the answer ended before it was whole"))
            told = f"{TYPE}: {kind}\r\n{_BODY}: {text.decode()}\r\n".encode("latin-1")
        self._writer.write(b"0\r\n" + told + b"\r\n")
        try:
            await self._writer.drain()
            await _answer(self._reader)
        finally:
            self._writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[Mapping[str, str], bytes]:
    """Headers by lower-case name, and body, of an answer that says yes."""
    status = (await reader.readline()).split(b" ", 2)
    headers: dict[str, str] = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(min(int(headers.get("content-length", "0")), _LARGEST))
    if len(status) < 2 or not status[1].startswith(b"2"):
        msg = f"the Runtime API answered {b' '.join(status).decode('latin-1').strip()!r}"
        raise RuntimeApiError(msg)
    return headers, body


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readline()).partition(b";")[0], 16):
        parts.append(await reader.readexactly(min(size, _LARGEST)))
        await reader.readline()
    while (await reader.readline()).strip():
        pass
    return b"".join(parts)


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message, "stackTrace": []}).encode()


async def serve_one(function: Function, api: Api, came: Invocation, *, streamed: bool = True) -> None:
    """Answer one event: as a stream, or whole where it asks so or nothing is streamed."""
    os.environ["_X_AMZN_TRACE_ID"] = came.trace_id
    try:
        asked = function.asked(came.event)
    except events.UnknownEventError as error:
        await api.fail(came.request_id, "UnknownEventError", str(error))
        return
    if asked.whole or not streamed:
        await _answer_whole(function, api, came.request_id, asked)
        return
    stream = await api.stream(came.request_id)
    try:
        await function.serve(asked, came.request_id, stream)
    except Exception as error:
        logger.exception("an answer ended before it was whole")
        await stream.end(error)
    else:
        await stream.end()


async def _answer_whole(function: Function, api: Api, request_id: str, asked: events.Asked) -> None:
    try:
        answer = await function.answer(asked, request_id)
    except CutShortError as error:
        await api.fail(request_id, f"Runtime.{type(error).__name__}", "the answer ended before it was whole")
    else:
        await api.respond(request_id, answer)


async def _serve(function: Function, api: Api, *, streamed: bool) -> int:
    while not function.worn:
        await serve_one(function, api, await api.next(), streamed=streamed)
    logger.error("too many threads are lost: this environment ends, and the next request begins in a new one")
    return 1


def main(bundle: Path, *, streamed: bool = True) -> NoReturn:
    """Load a bundle and answer events until the environment ends; never returns."""
    api = Api(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        function = Function(bundle)
        function.load(everything=handler.SNAPSHOT)
    except Exception as error:  # noqa: BLE001 - the author's own start may raise anything
        handler.end(start.problem_of(error))
    try:
        if handler.SNAPSHOT:
            function.run(api.restored())
        function.begin(restored=handler.SNAPSHOT)
    except Exception as error:  # noqa: BLE001 - the same
        problem = start.problem_of(error)
        if not handler.SNAPSHOT:
            handler.end(problem)
        problem.report()
        failing.restoring(problem)
        os._exit(1)
    raise SystemExit(function.run(_serve(function, api, streamed=streamed)))

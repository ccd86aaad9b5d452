"""A fake of Lambda's Runtime API: events are handed out, and answers taken in one piece or as they are streamed.

It speaks HTTP as the documented interface does (Lambda developer guide, "Using the Lambda runtime API"), keeps each
chunk of a streamed answer, and reads trailers.
"""
# ruff: noqa: S101  # assertions are how a test that drives it fails

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

PREFIX = "/2018-06-01/runtime"
WAIT = 60.0
STREAMED = "application/vnd.awslambda.http-integration-response"
END_OF_HEAD = bytes(8)
_OVER: Any = object()


@dataclass
class Posted:
    """One request of the runtime's; ``whole`` once all of it is there."""

    path: str
    headers: dict[str, str]
    chunks: list[bytes] = field(default_factory=list)
    trailers: dict[str, str] = field(default_factory=dict)
    whole: bool = False
    _coming: queue.Queue[bytes | None] = field(default_factory=queue.Queue)

    @property
    def body(self) -> bytes:
        """All of it, once it was posted."""
        return b"".join(self.chunks)

    @property
    def is_stream(self) -> bool:
        """Whether the runtime sends its answer as it is made."""
        return self.headers.get("lambda-runtime-function-response-mode") == "streaming"

    def streamed(self) -> tuple[dict[str, Any], bytes]:
        """Prelude and body of an answer that was streamed."""
        assert self.is_stream
        assert self.headers["content-type"] == STREAMED
        head, mark, body = self.body.partition(END_OF_HEAD)
        assert mark
        return json.loads(head), body

    def came(self, chunk: bytes | None) -> None:
        """Take a chunk; ``None``: there are no more."""
        if chunk is not None:
            self.chunks.append(chunk)
        self._coming.put(chunk)

    def pieces(self) -> Iterator[bytes]:
        """Each chunk as soon as it is there; for one reader.

        Raises:
            queue.Empty: nothing came for as long as an invocation may take.
        """
        while (chunk := self._coming.get(timeout=WAIT)) is not None:
            yield chunk


class RuntimeApi:
    """What the runtime asks, and what it is answered."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._events: queue.Queue[Any] = queue.Queue()
        self._begun: queue.Queue[Posted] = queue.Queue()
        self._posted: queue.Queue[Posted] = queue.Queue()
        self._restore = threading.Event()
        self._restores = threading.Event()
        self._count = 0

    @property
    def place(self) -> str:
        """``host:port``."""
        host, port = self._listening.getsockname()
        return f"{host}:{port}"

    def hand_out(self, event: Any) -> None:
        """Have the runtime find an event."""
        self._events.put(event)

    def invoke(self, event: Any) -> Posted:
        """Hand out an event, and wait for what is posted about it."""
        self.hand_out(event)
        return self.posted()

    def posted(self) -> Posted:
        """Wait for what is posted next, until it is whole."""
        return self._posted.get(timeout=WAIT)

    def begun(self, seconds: float = WAIT) -> Posted:
        """Wait for the beginning of what is posted next; its pieces are on their way.

        Raises:
            queue.Empty: nothing was posted for so long.
        """
        return self._begun.get(timeout=seconds)

    def await_snapshot(self) -> None:
        """Wait until the runtime says that it may be copied."""
        assert self._restores.wait(WAIT)

    def restore(self) -> None:
        """Let a copy wake up."""
        self._restore.set()

    def serve(self) -> None:
        """Answer until the socket is closed."""
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                self._events.put(_OVER)
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader, contextlib.suppress(OSError, ValueError):
            _, path, _ = reader.readline().decode().split()
            asked = Posted(path.removeprefix(PREFIX), _fields(reader))
            if asked.path.endswith("/next"):
                self._next(connection, asked.path)
                return
            self._begun.put(asked)
            try:
                _read(reader, asked)
                asked.whole = True
            finally:
                asked.came(None)
            connection.sendall(b'HTTP/1.1 202 Accepted\r\nContent-Length: 15\r\n\r\n{"status":"OK"}')
            self._posted.put(asked)

    def _next(self, connection: socket.socket, path: str) -> None:
        if path == "/restore/next":
            self._restores.set()
            self._restore.wait(WAIT)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return
        event = self._events.get()
        if event is _OVER:
            self._events.put(_OVER)
            return
        self._count += 1
        body = json.dumps(event).encode()
        told = (
            f"Lambda-Runtime-Aws-Request-Id: request-{self._count}\r\nLambda-Runtime-Trace-Id: Root=1-2\r\n"
            f"Lambda-Runtime-Deadline-Ms: {int((time.time() + WAIT) * 1000)}\r\n"
        )
        connection.sendall(f"HTTP/1.1 200 OK\r\n{told}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def _read(reader: Any, asked: Posted) -> None:
    if asked.headers.get("transfer-encoding") != "chunked":
        asked.came(reader.read(int(asked.headers.get("content-length", "0"))))
        return
    while size := int(reader.readline(), 16):
        asked.came(reader.read(size))
        reader.readline()
    asked.trailers = _fields(reader)


def _fields(reader: Any) -> dict[str, str]:
    found = {}
    while line := reader.readline().strip():
        name, _, value = line.decode().partition(":")
        found[name.lower()] = value.strip()
    return found


@contextlib.contextmanager
def serving() -> Iterator[RuntimeApi]:
    """Serve the fake on loopback until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        api = RuntimeApi(listening)
        thread = threading.Thread(target=api.serve, daemon=True)
        thread.start()
        try:
            yield api
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(5)

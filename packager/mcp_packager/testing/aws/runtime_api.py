"""A fake of Lambda's Runtime API, for what the emulator does not do: answers that are streamed, snapshots.

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
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

PREFIX = "/2018-06-01/runtime"
WAIT = 60.0


@dataclass
class Posted:
    """One request of the runtime's."""

    path: str
    headers: dict[str, str]
    chunks: list[bytes] = field(default_factory=list)
    trailers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join(self.chunks)

    def streamed(self) -> tuple[dict[str, Any], bytes]:
        """Prelude and body of an answer that was streamed."""
        assert self.headers["lambda-runtime-function-response-mode"] == "streaming"
        assert self.headers["content-type"] == "application/vnd.awslambda.http-integration-response"
        head, mark, body = self.body.partition(bytes(8))
        assert mark
        return json.loads(head), body


class RuntimeApi:
    """What the runtime asks, and what it is answered."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._events: queue.Queue[Any] = queue.Queue()
        self._posted: queue.Queue[Posted] = queue.Queue()
        self._restore = threading.Event()
        self._restores = threading.Event()
        self._body = threading.Event()
        self._count = 0

    @property
    def place(self) -> str:
        """``host:port``."""
        host, port = self._listening.getsockname()
        return f"{host}:{port}"

    def invoke(self, event: Any) -> Posted:
        """Hand out an event, and wait for what is posted about it."""
        self._events.put(event)
        return self.posted()

    def posted(self) -> Posted:
        """Wait for what is posted next."""
        return self._posted.get(timeout=WAIT)

    def await_body(self) -> None:
        """Wait until something of a streamed answer's body is there, before its end."""
        assert self._body.wait(WAIT)

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
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader, contextlib.suppress(OSError, ValueError):
            _, path, _ = reader.readline().decode().split()
            headers = _fields(reader)
            asked = Posted(path.removeprefix(PREFIX), headers)
            if headers.get("transfer-encoding") == "chunked":
                while size := int(reader.readline(), 16):
                    asked.chunks.append(reader.read(size))
                    reader.readline()
                    if len(asked.chunks) > 1:  # the first one is the head
                        self._body.set()
                asked.trailers = _fields(reader)
            else:
                asked.chunks.append(reader.read(int(headers.get("content-length", "0"))))
            self._answer(connection, asked)

    def _answer(self, connection: socket.socket, asked: Posted) -> None:
        match asked.path:
            case "/invocation/next":
                event = self._events.get()
                self._count += 1
                body = json.dumps(event).encode()
                told = f"Lambda-Runtime-Aws-Request-Id: request-{self._count}\r\nLambda-Runtime-Trace-Id: Root=1-2\r\n"
                head = f"HTTP/1.1 200 OK\r\n{told}Content-Length: {len(body)}\r\n\r\n"
                connection.sendall(head.encode() + body)
            case "/restore/next":
                self._restores.set()
                self._restore.wait(WAIT)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            case _:
                connection.sendall(b'HTTP/1.1 202 Accepted\r\nContent-Length: 15\r\n\r\n{"status":"OK"}')
                self._posted.put(asked)


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

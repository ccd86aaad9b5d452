"""A client that listens to changes, and notes each."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections import Counter
from typing import Self

from tests.replicas.fleet import UPSTREAM, Endpoint, eventually, request
from tests.serve.process import MODERN

TOOLS = "notifications/tools/list_changed"
PROMPTS = "notifications/prompts/list_changed"
UPDATED = "notifications/resources/updated"
NOTE = "note://1"
_FILTER = {"toolsListChanged": True, "promptsListChanged": True, "resourceSubscriptions": [NOTE]}


class Listener:
    """One open `subscriptions/listen` stream."""

    def __init__(self, where: Endpoint) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", where.port, timeout=60)
        body, headers = request(MODERN, "subscriptions/listen", {"notifications": _FILTER})
        self._connection.request("POST", "/mcp", body, headers)
        self._socket = self._connection.sock  # which the answer may take away with it
        self._answer = self._connection.getresponse()
        self.replica = self._answer.getheader(UPSTREAM, "")
        self.heard: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert eventually(lambda: self.heard["notifications/subscriptions/acknowledged"] == 1)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # the other side may have ended it
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection.close()

    def _read(self) -> None:
        try:
            for line in self._answer:
                if line.startswith(b"data: {"):
                    document = json.loads(line.removeprefix(b"data: "))
                    self.heard[document.get("method", "end")] += 1
        except (OSError, http.client.HTTPException):
            pass  # the connection ended in the middle of a line

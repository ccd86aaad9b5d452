"""uvicorn's protocol on httptools, with a bound on what one request may send; h11 brings one of its own.

Imported only where httptools is there.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD: Final = 64 * 1024
"""Bytes of a request line and headers; what h11 allows too."""

_BODY: Final = 16
"""What a body may take on the way, as a multiple of its own limit: chunks have heads, and may be small."""


class Bounded(HttpToolsProtocol):
    """Ends a connection that sends a head without end, or goes on and on after its body was refused."""

    max_body = 4 * 1024 * 1024

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._received = 0

    def data_received(self, data: bytes) -> None:
        """Parse, unless what came before is too much: a piece may hold a whole head and much of a body."""
        before, self._received = self._received, self._received + len(data)
        if before > HEAD and not self._is_within():
            self.logger.warning("a request without end was cut off")
            if self.cycle is None or self.cycle.response_complete:
                self.send_400_response("Request header fields too large")
            else:
                self.transport.abort()
            return
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Begin to count the body."""
        super().on_headers_complete()
        self._received = 0

    def on_response_complete(self) -> None:
        """Begin to count the next request."""
        self._received = 0
        super().on_response_complete()

    def _is_within(self) -> bool:
        reads_body = self.cycle is not None and self.cycle.more_body
        return reads_body and self._received <= self.max_body * _BODY


def bounded(max_body: int) -> type[asyncio.Protocol]:
    """The protocol for a server that reads bodies of so many bytes."""
    return type("Bounded", (Bounded,), {"max_body": max_body})

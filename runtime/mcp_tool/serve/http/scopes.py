"""Which scopes a request needs by the tool it names, before the tool is asked."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcp_tool.serve.http.gates import Headers
from mcp_tool.wire import MODERN

_NONE: Final[frozenset[str]] = frozenset()
_MODERN: Final = MODERN.encode()
_ENCODED: Final = "=?base64?"
"""How a header holds a name that is not plain ASCII (MCP 2026-07-28, streamable HTTP, header encoding)."""


class ToolScopes:
    """The scopes of every tool that has some.

    A request of the newer era names its tool in `Mcp-Name`, which the SDK holds against the body. Older ones do so in
    the body alone, and what their headers say is checked by nobody.
    """

    def __init__(self, by_tool: Mapping[str, frozenset[str]]) -> None:
        self._by_tool = {name: scopes for name, scopes in by_tool.items() if scopes}

    def __bool__(self) -> bool:
        return bool(self._by_tool)

    def by_head(self, headers: Headers) -> frozenset[str] | None:
        """The scopes that a request needs; None where only its body can tell."""
        if headers.get(b"mcp-protocol-version") != _MODERN:
            return None
        if headers.get(b"mcp-method") != b"tools/call":
            return _NONE
        return self._by_tool.get(_decoded(headers.get(b"mcp-name", b"")), _NONE)

    def by_body(self, body: bytes) -> frozenset[str]:
        """The same from the body; none where it is not understood, since nobody else will understand it."""
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return _NONE
        return frozenset().union(*(self._by_tool.get(name, _NONE) for name in _tools(document)))


def _tools(document: Any) -> Iterator[str]:
    for message in document if isinstance(document, list) else (document,):
        match message:
            case {"method": "tools/call", "params": {"name": str(name)}}:
                yield name


def _decoded(value: bytes) -> str:
    text = value.decode("latin-1")
    if not text.startswith(_ENCODED) or not text.endswith("?="):
        return text
    try:
        return base64.b64decode(text[len(_ENCODED) : -2], validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""  # the SDK refuses it

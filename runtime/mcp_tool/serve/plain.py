"""What a plain tool call over HTTP looks like, in both eras, and which requests are not plain.

A request is plain when there is nothing about it to decide: every header that routes it stands there once and agrees
with the body, the body holds what every client sends and nothing else, and the SDK's own schema accepts it. All else,
the wrong and the rare, is for the SDK's application to judge.
"""

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import pydantic_core
from mcp_types import DEFAULT_NEGOTIATED_VERSION, methods
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from mcp_tool.serve.gates import Headers

METHOD: Final = "tools/call"

_ENVELOPE: Final = frozenset({"jsonrpc", "id", "method", "params"})
_PARAMS: Final = frozenset({"name", "arguments", "_meta"})
_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
_MODERN: Final = {version.encode(): version for version in MODERN_PROTOCOL_VERSIONS}
_LEGACY: Final[Mapping[bytes | None, str]] = {
    None: DEFAULT_NEGOTIATED_VERSION,
    **{version.encode(): version for version in HANDSHAKE_PROTOCOL_VERSIONS},
}


@dataclass(frozen=True, slots=True)
class PlainCall:
    """A `tools/call` that the SDK would hand to the tool as it stands.

    Attributes:
        version: The protocol version it is served at.
        modern: Whether that is one without sessions, whose requests carry their own envelope.
        params: As they came; `name`, `arguments` and `meta` are parts of them.
    """

    version: str
    modern: bool
    request_id: str | int
    name: str
    arguments: Mapping[str, Any]
    params: Mapping[str, Any]
    meta: Mapping[str, Any]


def head(raw: Sequence[tuple[bytes, bytes]]) -> Headers | None:
    """The headers of a request that may be plain, by lower-case name; None for one that is not.

    Args:
        raw: As in an ASGI scope, values without white space around them.
    """
    headers = dict(raw)
    if len(headers) != len(raw):
        return None  # something stands there twice; the SDK knows what may
    if not _content_fits(headers.get(b"content-type", b""), headers.get(b"accept", b"")):
        return None
    version = headers.get(b"mcp-protocol-version")
    if version in _LEGACY:
        return headers
    if version not in _MODERN or headers.get(b"mcp-method") != METHOD.encode() or b"mcp-name" not in headers:
        return None
    return None if any(name.startswith(b"mcp-param-") for name in headers) else headers


def read(headers: Headers, body: bytes, tools: Container[str]) -> PlainCall | None:
    """The call in a body, if it is a plain one.

    Args:
        headers: As `head` gave them.
        body: The whole of it.
        tools: The tools that may be called this way.
    """
    version = headers.get(b"mcp-protocol-version")
    modern = version in _MODERN
    try:
        # Each era with the parser that the SDK has for it: they differ in what they forgive.
        document = json.loads(body) if modern else pydantic_core.from_json(body)
    except (ValueError, RecursionError):
        return None
    match document:
        case {"jsonrpc": "2.0", "method": "tools/call", "id": str() | int() as identity, "params": dict() as params}:
            pass
        case _:
            return None
    if isinstance(identity, bool) or not document.keys() <= _ENVELOPE or not params.keys() <= _PARAMS:
        return None
    name, arguments, meta = params.get("name"), params.get("arguments", {}), params.get("_meta", {})
    if not isinstance(name, str) or name not in tools or not isinstance(arguments, dict) or not isinstance(meta, dict):
        return None
    served = _MODERN[version] if modern and version is not None else _LEGACY[version]
    if modern and not (headers[b"mcp-name"] == name.encode() and meta.get(_VERSION) == served):
        return None
    try:
        methods.validate_client_request(METHOD, served, params)
    except (ValueError, KeyError):  # pydantic's error is a ValueError
        return None
    return PlainCall(served, modern, identity, name, arguments, params, meta)


@lru_cache(maxsize=64)  # a client sends the same two with every request
def _content_fits(kind: bytes, accepted: bytes) -> bool:
    """Whether a request is JSON and takes both kinds of answer, said in so many words."""
    media = {part.partition(b";")[0].strip() for part in accepted.lower().split(b",")}
    wanted = media & {b"application/json", b"text/event-stream"}
    return kind.lower().replace(b" ", b"") in {b"application/json", b"application/json;charset=utf-8"} and (
        len(wanted) == 2
    )

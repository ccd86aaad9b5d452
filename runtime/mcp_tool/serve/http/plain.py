"""What a plain request over HTTP looks like, in both eras, and which requests are not plain.

Plain is a tool call, or a question whose answer the contract holds, when there is nothing about it to decide: every
header that routes it stands there once and agrees with the body, the body holds what every client sends and nothing
else, and the SDK's own schema accepts it, asked only where there is a doubt. All else, the wrong and the rare, is for
the SDK's application to judge.
"""

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import pydantic_core

from mcp_tool.serve.http import shapes
from mcp_tool.serve.http.gates import Headers
from mcp_tool.wire import HANDSHAKE, MODERN

CALL: Final = "tools/call"
INITIALIZE: Final = "initialize"
PING: Final = "ping"
INITIALIZED: Final = "notifications/initialized"
NEGOTIATED: Final = "2025-03-26"
"""What a client of the older era that names no version is served at (specification 2025-06-18, transports)."""

ASKED: Final = frozenset(
    {"tools/list", "resources/list", "resources/templates/list", "prompts/list", "server/discover"}
)
"""The questions whose answers the contract holds."""

_METHODS: Final = frozenset(method.encode() for method in {CALL, *ASKED})
_ENVELOPE: Final = frozenset({"jsonrpc", "id", "method", "params"})
_PARAMS: Final = frozenset({"name", "arguments", "_meta"})
_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
_INFO: Final = "io.modelcontextprotocol/clientInfo"
_GREETING: Final = frozenset({"protocolVersion", "capabilities", "clientInfo"})
_MODERN: Final = {MODERN.encode(): MODERN}
_LEGACY: Final[Mapping[bytes | None, str]] = {
    None: NEGOTIATED,
    **{version.encode(): version for version in HANDSHAKE},
}


@dataclass(frozen=True, slots=True)
class Plain:
    """A request that the SDK would hand to its handler as it stands.

    Attributes:
        version: The protocol version it is served at; what a greeting comes to.
        modern: Whether that is one without sessions, whose requests carry their own envelope.
        method: `CALL`, one of `ASKED`, or of older clients `INITIALIZE` or `PING`.
        params: As they came; `name` and `arguments` of a call and `meta` are parts of them.
        client: What the client calls itself: name and version, as far as it says so.
    """

    version: str
    modern: bool
    request_id: str | int
    method: str
    params: Mapping[str, Any] | None
    meta: Mapping[str, Any]
    name: str
    arguments: Mapping[str, Any]
    client: object = None


@dataclass(frozen=True, slots=True)
class Greeted:
    """What an older client says when it has read the answer to its greeting; nobody waits for an answer to it.

    Attributes:
        version: The version that the request names; empty where it names none.
    """

    version: str


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
    if version not in _MODERN or headers.get(b"mcp-method") not in _METHODS:
        return None
    return None if any(name.startswith(b"mcp-param-") for name in headers) else headers


def read(headers: Headers, body: bytes, tools: Container[str]) -> Plain | Greeted | None:
    """The request in a body, if it is a plain one.

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
    served = _MODERN[version] if modern and version is not None else _LEGACY[version]
    if not modern and (greeting := _greeting(document, headers)) is not None:
        return greeting
    found = _plain(document, served, tools, modern=modern)
    if found is None or (modern and not _agrees(headers, found)):
        return None
    return found if shapes.request_fits(found.params, modern=modern) or _sdk_takes(found) else None


def _sdk_takes(found: Plain) -> bool:
    from mcp_types import methods

    try:
        methods.validate_client_request(found.method, found.version, found.params)
    except (ValueError, KeyError):  # pydantic's error is a ValueError
        return False
    return True


def _greeting(document: Any, headers: Headers) -> Plain | Greeted | None:
    """What an older client says first, if it says nothing unusual."""
    match document:
        case {"jsonrpc": "2.0", "method": "notifications/initialized", **rest} if not rest or rest == {"params": {}}:
            return Greeted(headers.get(b"mcp-protocol-version", b"").decode())
        case {"jsonrpc": "2.0", "id": str() | int() as identity, "method": "ping", **rest}:
            fits = not isinstance(identity, bool) and (not rest or rest == {"params": {}})
            version = _LEGACY[headers.get(b"mcp-protocol-version")]
            return Plain(version, False, identity, PING, None, {}, "", {}) if fits else None  # noqa: FBT003 - which era
        case {
            "jsonrpc": "2.0",
            "id": str() | int() as identity,
            "method": "initialize",
            "params": {"protocolVersion": str() as asked, "capabilities": declared, "clientInfo": info} as params,
            **rest,
        }:
            known = not rest and params.keys() == _GREETING and not isinstance(identity, bool)
            if not (known and shapes.is_text(asked) and shapes.capabilities_fit(declared)):
                return None
            version = asked if asked in HANDSHAKE else HANDSHAKE[-1]
            return _introduced(version, identity, params, info) if shapes.names_itself(info) else None
        case _:
            return None


def _introduced(version: str, identity: str | int, params: Mapping[str, Any], info: object) -> Plain:
    return Plain(version, False, identity, INITIALIZE, params, {}, "", {}, info)  # noqa: FBT003 - which era


def _plain(document: Any, served: str, tools: Container[str], *, modern: bool) -> Plain | None:
    match document:
        case {"jsonrpc": "2.0", "method": str() as method, "id": str() | int() as identity}:
            pass
        case _:
            return None
    params = document.get("params")
    if isinstance(identity, bool) or not document.keys() <= _ENVELOPE or not isinstance(params, dict | None):
        return None
    given: dict[str, Any] = params or {}
    meta, name, arguments = given.get("_meta", {}), given.get("name", ""), given.get("arguments", {})
    if not isinstance(meta, dict) or not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    if method == CALL:
        fits = name in tools and given.keys() <= _PARAMS
    else:
        fits = method in ASKED and given.keys() <= {"_meta"}
    return Plain(served, modern, identity, method, params, meta, name, arguments, meta.get(_INFO)) if fits else None


def _agrees(headers: Headers, found: Plain) -> bool:
    """Whether the headers of the newer era say what the body says."""
    return (
        headers[b"mcp-method"] == found.method.encode()
        and headers.get(b"mcp-name", b"") == found.name.encode()
        and found.meta.get(_VERSION) == found.version
    )


@lru_cache(maxsize=64)  # a client sends the same two with every request
def _content_fits(kind: bytes, accepted: bytes) -> bool:
    """Whether a request is JSON and takes both kinds of answer, said in so many words."""
    media = {part.partition(b";")[0].strip() for part in accepted.lower().split(b",")}
    wanted = media & {b"application/json", b"text/event-stream"}
    return kind.lower().replace(b" ", b"") in {b"application/json", b"application/json;charset=utf-8"} and (
        len(wanted) == 2
    )

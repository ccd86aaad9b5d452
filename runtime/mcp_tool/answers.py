"""Each era's answers to what every client asks first, ready for the wire, as the SDK's server gives them.

Keys stand in the order in which the SDK writes them, so that an answer served from here is the same to the byte.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

LEGACY_VERSION: Final = "2025-11-25"
MODERN_VERSION: Final = "2026-07-28"

_SERVER_INFO = "io.modelcontextprotocol/serverInfo"
LISTS: Final = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}
_SCHEMAS: Final = ("inputSchema", "outputSchema")
_FIRST_LEGACY: Final = ("$schema", "properties", "required", "type")
_FIRST_MODERN: Final = ("$schema", "type")


def build(document: Mapping[str, Any], listed: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """All answers.

    Args:
        document: `tool.json`.
        listed: Definitions in wire form by the key they have in a list: tools, resources, resourceTemplates, prompts.
    """
    info = _server_info(document)
    instructions = document.get("instructions")
    legacy: dict[str, Any] = {"initialize": _initialize(info, instructions)}
    modern: dict[str, Any] = {
        "server/discover": _discover(info, instructions, listen=True),
        "server/discover without listen": _discover(info, instructions, listen=False),
    }
    for method, key in LISTS.items():
        legacy[method] = {key: [_ordered(entry, _FIRST_LEGACY, _FIRST_LEGACY) for entry in listed[key]]}
        entries = [_ordered(entry, _FIRST_MODERN, ()) for entry in listed[key]]
        body = {"cacheScope": "private", key: entries, "resultType": "complete", "ttlMs": 0}
        modern[method] = {**dict(sorted(body.items())), "_meta": {_SERVER_INFO: info}}
    return {"legacy": legacy, MODERN_VERSION: modern}


def capabilities(*, changes: bool, subscribe: bool) -> dict[str, Any]:
    """What the server can do. It always serves every list, so that the same clients work with every tool."""
    return {
        "completions": {},
        "logging": {},
        "prompts": {"listChanged": changes},
        "resources": {"listChanged": changes, "subscribe": subscribe},
        "tools": {"listChanged": changes},
    }


def _initialize(info: Mapping[str, Any], instructions: str | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"capabilities": capabilities(changes=False, subscribe=True)}
    if instructions is not None:
        answer["instructions"] = instructions
    return {**answer, "protocolVersion": LEGACY_VERSION, "serverInfo": dict(sorted(info.items()))}


def _discover(info: Mapping[str, Any], instructions: str | None, *, listen: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "cacheScope": "private",
        "capabilities": capabilities(changes=listen, subscribe=listen),
    }
    if instructions is not None:
        answer["instructions"] = instructions
    answer |= {"resultType": "complete", "supportedVersions": [MODERN_VERSION], "ttlMs": 0}
    return {**answer, "_meta": {_SERVER_INFO: dict(info)}}


def _server_info(document: Mapping[str, Any]) -> dict[str, Any]:
    given = {
        "name": document["name"],
        "title": document.get("title"),
        "version": document.get("version") or "",
        "description": document.get("description"),
    }
    return {key: value for key, value in given.items() if value is not None}


def _ordered(entry: Mapping[str, Any], inputs: Sequence[str], outputs: Sequence[str]) -> dict[str, Any]:
    firsts = dict(zip(_SCHEMAS, (inputs, outputs), strict=True))
    return {key: _schema(value, firsts[key]) if key in firsts else value for key, value in sorted(entry.items())}


def _schema(schema: Mapping[str, Any], first: Sequence[str]) -> dict[str, Any]:
    return {**{key: schema[key] for key in first if key in schema}, **schema}

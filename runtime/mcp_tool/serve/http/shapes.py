"""Requests and results whose form leaves nothing to ask the SDK's schemas, so that they need not be loaded.

What is found to fit here fits the SDK's schema, and what is shaped here is shaped as the SDK does it; the other way
round is not promised: whoever gets no answer here asks the SDK (`tests/serve/test_shapes.py` holds the two together).
"""

from collections.abc import Mapping
from typing import Any, Final

import pydantic_core

_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
_INFO: Final = "io.modelcontextprotocol/clientInfo"
_LEVEL: Final = "io.modelcontextprotocol/logLevel"
_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
_NAMING: Final = frozenset({"name", "version", "title", "description", "websiteUrl"})
_ASKABLE: Final[Mapping[str, frozenset[str]]] = {
    "elicitation": frozenset({"form", "url"}),
    "sampling": frozenset({"context", "tools"}),
    "roots": frozenset({"listChanged"}),
}
_RESULT: Final = frozenset({"content", "isError", "structuredContent", "resultType"})
_TEXT: Final = frozenset({"type", "text"})


def request_fits(params: Mapping[str, Any] | None, *, modern: bool) -> bool:
    """Whether the params of a call or a question are of a form that every version of the schema takes.

    Args:
        params: Nothing but `name`, `arguments` and `_meta`, each of the right type.
        modern: Whether the request carries its own envelope.
    """
    given = params or {}
    meta = given.get("_meta", {})
    if not all(map(is_text, given.get("arguments", ()))) or not all(map(is_text, meta)):
        return False
    token = meta.get("progressToken", 0)
    if isinstance(token, bool) or not (isinstance(token, int) or is_text(token)):
        return False
    if not modern:
        return True
    if _LEVEL in meta or not is_text(meta.get(_VERSION)) or _CAPABILITIES not in meta:
        return False
    return capabilities_fit(meta[_CAPABILITIES]) and (_INFO not in meta or names_itself(meta[_INFO]))


def names_itself(info: Any) -> bool:
    """Whether this is a client's name and version, and nothing that wants a closer look."""
    if not isinstance(info, dict) or not {"name", "version"} <= info.keys() <= _NAMING:
        return False
    return all(map(is_text, info.values()))


def capabilities_fit(declared: Any) -> bool:
    """Whether a client declares what most do: that it can be asked something."""
    if not isinstance(declared, dict) or not declared.keys() <= _ASKABLE.keys():
        return False
    return all(
        isinstance(value, dict)
        and value.keys() <= _ASKABLE[name]
        and all(inner is True or inner is False if name == "roots" else inner == {} for inner in value.values())
        for name, value in declared.items()
    )


def result(given: Mapping[str, Any], *, modern: bool) -> dict[str, Any] | None:
    """The result of a call as the schema orders it, if it is text, with or without structure; else None.

    Args:
        given: In wire form; in the newer era with its `resultType`.
        modern: Which era's schema.
    """
    structured = given.get("structuredContent", {})
    if not given.keys() <= _RESULT or not isinstance(structured, dict) or not all(map(is_text, structured)):
        return None
    blocks = given.get("content")
    if not isinstance(blocks, list) or not all(map(_is_text_block, blocks)):
        return None
    if not isinstance(given.get("isError"), bool) or (modern and given.get("resultType") != "complete"):
        return None
    shaped = {"content": [{"text": block["text"], "type": "text"} for block in blocks], "isError": given["isError"]}
    if modern:
        shaped["resultType"] = "complete"
    if "structuredContent" in given:
        shaped["structuredContent"] = pydantic_core.to_jsonable_python(structured)
    return shaped


def _is_text_block(block: Any) -> bool:
    return isinstance(block, dict) and block.keys() == _TEXT and block["type"] == "text" and is_text(block["text"])


def is_text(value: Any) -> bool:
    """Whether this is text that has an encoding: JSON can spell halves of letters, which nothing else takes."""
    if not isinstance(value, str):
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

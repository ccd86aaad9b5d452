"""From what a function returned to results in wire form."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pydantic_core
from pydantic import ValidationError

from mcp_tool import questions
from mcp_tool.asking import QUESTIONS, InputRequired
from mcp_tool.content import CONTENT_TYPES, AssistantMessage, Content, File, ToolResult, UserMessage
from mcp_tool.schema.outputs import Outputs


class ResultError(Exception):
    """What a function returned is not what it promised. For the log; the client learns only that it failed."""


def tool_result(result: Any, outputs: Outputs | None) -> dict[str, Any]:
    """The answer to `tools/call`.

    Raises:
        ResultError: The result does not fit the tool's output schema, or holds what JSON cannot.
    """
    if isinstance(result, ToolResult):
        return _by_hand(result, outputs)
    if isinstance(result, Iterator):
        result = list(result)  # it can be read only once, and is needed twice
    answer: dict[str, Any] = {"content": blocks(result), "isError": False}
    if outputs is not None:
        answer["structuredContent"] = _structured(outputs, result)
    return answer


def _by_hand(result: ToolResult, outputs: Outputs | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"content": blocks(list(result.content)), "isError": result.is_error}
    if outputs is not None and not result.is_error:
        answer["structuredContent"] = _structured(outputs, result.structured)
    elif result.structured is not None:
        answer["structuredContent"] = _finite(pydantic_core.to_jsonable_python(result.structured))
    if result.meta is not None:
        answer["_meta"] = dict(result.meta)
    return answer


def _structured(outputs: Outputs, result: Any) -> Any:
    try:
        return _finite(outputs.structured(result))
    except ValidationError as error:
        raise ResultError(str(error)) from error


def _finite(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError as error:
        msg = "the result holds NaN or an infinity, which JSON has no words for"
        raise ResultError(msg) from error
    return value


def error(text: str) -> dict[str, Any]:
    """The answer to a call that failed."""
    return {"content": [{"type": "text", "text": text}], "isError": True}


def blocks(result: Any) -> list[dict[str, Any]]:
    """A value as content: text as it is, helpers as their blocks, lists item by item, the rest as indented JSON."""
    match result:
        case None:
            return []
        case str():
            return [{"type": "text", "text": result}]
        case _ if isinstance(result, CONTENT_TYPES):
            return [result.wire()]
        case list() | tuple():
            return [block for item in result for block in blocks(item)]
        case _:
            text = pydantic_core.to_json(result, fallback=str, indent=2).decode()
            return [{"type": "text", "text": text}]


def resource_result(result: Any, uri: str, mime_type: str, meta: Mapping[str, Any] | None) -> dict[str, Any]:
    """The answer to `resources/read`: text, bytes, files, or anything else as JSON."""
    listed = isinstance(result, list | tuple) and bool(result) and all(isinstance(item, File) for item in result)
    contents = [_contents(item, uri, mime_type) for item in (result if listed else [result])]
    return {"contents": [{**item, "_meta": dict(meta)} if meta else item for item in contents]}


def _contents(result: Any, uri: str, mime_type: str) -> dict[str, Any]:
    match result:
        case File():
            return result.contents(uri, mime_type)
        case str():
            return File(text=result).contents(uri, mime_type)
        case bytes() | bytearray() | memoryview():
            return File(data=bytes(result)).contents(uri, mime_type)
        case _:
            text = pydantic_core.to_json(result, fallback=str, indent=2).decode()
            return File(text=text).contents(uri, mime_type)


def prompt_result(result: Any, description: str | None) -> dict[str, Any]:
    """The answer to `prompts/get`: strings and content become the user's messages."""
    items: Sequence[Any] = result if isinstance(result, list | tuple) else [result]
    messages = [message for item in items for message in _messages(item)]
    answer: dict[str, Any] = {"messages": messages}
    return answer if description is None else {"description": description, **answer}


def _messages(item: Any) -> list[dict[str, Any]]:
    match item:
        case UserMessage(content=content, role=role) | AssistantMessage(content=content, role=role):
            return [{"role": role, "content": _block(content)}]
        case {"role": "user" | "assistant" as role, "content": content}:
            return [{"role": role, "content": content if isinstance(content, Mapping) else _block(content)}]
        case _:
            return [{"role": "user", "content": block} for block in blocks(item)]


def _block(content: "str | Content") -> dict[str, Any]:
    return {"type": "text", "text": content} if isinstance(content, str) else content.wire()


def input_required(returned: InputRequired) -> dict[str, Any]:
    """The answer that asks: in wire form, for protocol versions from 2026-07-28."""
    answer: dict[str, Any] = {"resultType": "input_required"}
    if returned.questions:
        answer["inputRequests"] = {key: request(question) for key, question in returned.questions.items()}
    if returned.state is not None:
        answer["requestState"] = returned.state
    return answer


def request(question: Any) -> dict[str, Any]:
    """A question, or a request already in wire form, as one of `inputRequests`."""
    return questions.request(question).wire() if isinstance(question, QUESTIONS) else dict(question)

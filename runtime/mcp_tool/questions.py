"""Questions and answers on the wire: how a question is rendered, and what an answer means."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mcp_tool.asking import Accepted, Ask, Cancelled, Declined, ListRoots, Outcome, Question, Root, Sample, Sampled
from mcp_tool.context import Client
from mcp_tool.errors import RpcError
from mcp_tool.schema.forms import render

MISSING_CAPABILITY = -32021
"""JSON-RPC code: the client did not declare what the request needs (MCP 2026-07-28)."""


class AnswerError(Exception):
    """An answer that does not fit its question. Its text does not repeat the answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """A question in wire form."""

    method: str
    params: Mapping[str, Any]

    def wire(self) -> dict[str, Any]:
        """As one of `inputRequests`."""
        return {"method": self.method, "params": dict(self.params)}

    def digest(self) -> str:
        """Tells this rendering from every other: an answer counts only for the question that was shown."""
        canonical = json.dumps(self.params, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(f"{self.method}\n{canonical}".encode()).hexdigest()[:32]


def request(question: Question) -> Request:
    """A question in wire form.

    Raises:
        FormError: The form has fields that no client shows.
    """
    match question:
        case Ask(message=message, form=form):
            params = {"mode": "form", "message": message, "requestedSchema": render(form)}
            return Request("elicitation/create", params)
        case Sample():
            return Request("sampling/createMessage", _sampling(question))
        case ListRoots():
            return Request("roots/list", {})


def _sampling(question: Sample) -> dict[str, Any]:
    messages = question.messages
    if isinstance(messages, str):
        messages = [{"role": "user", "content": {"type": "text", "text": messages}}]
    params = {"messages": [dict(message) for message in messages], "maxTokens": question.max_tokens}
    if question.system_prompt is not None:
        params["systemPrompt"] = question.system_prompt
    return {**params, **question.options}


def answer(question: Question, result: Any) -> Outcome[Any]:
    """What a client's result means.

    Raises:
        AnswerError: It is no answer to this question.
    """
    if not isinstance(result, Mapping):
        msg = "the answer is not an object"
        raise AnswerError(msg)
    match question:
        case Ask(form=form):
            return _form(form, result)
        case Sample():
            return Accepted(_sampled(result))
        case ListRoots():
            return Accepted(_roots(result))


def _form(form: Any, result: Mapping[str, Any]) -> Outcome[Any]:
    match result.get("action"):
        case "decline":
            return Declined()
        case "cancel":
            return Cancelled()
        case "accept":
            pass
        case _:
            msg = "the answer says neither accept nor decline nor cancel"
            raise AnswerError(msg)
    try:
        return Accepted(form.model_validate(result.get("content")))
    except ValidationError:
        msg = "the accepted form does not fit its schema"
        raise AnswerError(msg) from None


def _sampled(result: Mapping[str, Any]) -> Sampled:
    content = result.get("content")
    blocks: list[Any] = content if isinstance(content, list) else [content]
    role, model, reason = result.get("role"), result.get("model"), result.get("stopReason")
    if not all(isinstance(block, Mapping) for block in blocks) or not isinstance(role, str):
        msg = "the answer is no message"
        raise AnswerError(msg)
    return Sampled(role, tuple(blocks), model if isinstance(model, str) else "", reason)


def _roots(result: Mapping[str, Any]) -> tuple[Root, ...]:
    roots = result.get("roots")
    if not isinstance(roots, list) or not all(isinstance(r, Mapping) and isinstance(r.get("uri"), str) for r in roots):
        msg = "the answer is no list of roots"
        raise AnswerError(msg)
    return tuple(Root(root["uri"], root.get("name")) for root in roots)


def default(question: Question) -> Accepted[Any] | None:
    """The answer where nobody can be asked; None where the author gave none."""
    return None if question.default is None else Accepted(question.default)


def missing_capability(question: Question, client: Client) -> RpcError | None:
    """The error for a client that did not declare what a question needs; None where it did."""
    needed: dict[str, Any]
    match question:
        case Ask():
            has, name, needed = client.elicits, "form elicitation", {"elicitation": {"form": {}}}
        case Sample(options=options) if "tools" in options or "toolChoice" in options:
            sampling = client.capabilities.get("sampling") or {}
            has, name, needed = "tools" in sampling, "sampling.tools", {"sampling": {"tools": {}}}
        case Sample():
            has, name, needed = client.samples, "sampling", {"sampling": {}}
        case ListRoots():
            has, name, needed = client.lists_roots, "roots", {"roots": {}}
    if has:
        return None
    what = f"Client did not declare the {name} capability that this call needs"
    return RpcError(MISSING_CAPABILITY, what, {"requiredCapabilities": needed})

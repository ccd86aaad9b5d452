"""Suggestions for arguments of prompts and variables of resource templates."""

import inspect
from collections.abc import Mapping
from typing import Any

from mcp_tool.errors import RpcError
from mcp_tool.plans import Plans
from mcp_tool.registry import Completer
from mcp_tool.running import Runner

_MOST = 100
"""Suggestions in one answer, by the MCP specification."""

_INVALID_PARAMS = -32602


def source(plans: Plans, ref: Mapping[str, Any], argument: Mapping[str, Any]) -> Completer | None:
    """What completes an argument; None where nothing does.

    Raises:
        RpcError: There is no such prompt or template.
    """
    name = argument.get("name", "")
    prompt = plans.prompts.get(ref.get("name", "")) if ref.get("type") == "ref/prompt" else None
    if prompt is not None:
        return prompt.declaration.complete.get(name)
    address = ref.get("uri", "")
    template = plans.templates.get(address) or plans.resources.get(address)
    if template is not None:
        return template.declaration.complete.get(name)
    raise RpcError(_INVALID_PARAMS, f"Unknown reference: {ref.get('name') or address}")


async def suggest(
    completer: Completer | None, argument: Mapping[str, Any], context: Mapping[str, Any], run: Runner
) -> dict[str, Any]:
    """The answer to `completion/complete`.

    A function gets what was typed so far, and by the name `arguments`, if it has such a parameter, the arguments that
    are filled already. Listed values are offered where they begin with what was typed.
    """
    typed = str(argument.get("value", ""))
    if completer is None:
        found: list[str] = []
    elif isinstance(completer, tuple):
        found = [value for value in completer if value.casefold().startswith(typed.casefold())]
    else:
        parameters = list(inspect.signature(completer).parameters)
        values: dict[str, Any] = {parameters[0]: typed} if parameters else {}
        if "arguments" in parameters[1:]:
            values["arguments"] = dict(context.get("arguments") or {})
        found = [str(value) for value in await run(completer, values)]
    shown = found[:_MOST]
    return {"completion": {"values": shown, "total": len(found), "hasMore": len(found) > len(shown)}}

"""``mcp-pack invoke``: one call of one tool, at the deployed endpoint or at a URL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mcp_packager.errors import Problem, UserError
from mcp_packager.pipeline.operate import reached
from mcp_packager.pipeline.reports import InvokeReport
from mcp_packager.pipeline.requests import Request
from mcp_packager.target import Auth, Endpoint
from mcp_packager.verify import ClientCredentials, McpClient, fetch_token

TOKEN_VARIABLE = "MCP_PACK_TOKEN"  # noqa: S105  # where one is, not one
"""Holds what is shown to the deployed endpoint where nothing else is said."""

SECONDS = 300.0
"""How long the call may take. The server's own timeout is shorter and says more."""


def invoke(
    request: Request,
    *,
    tool: str,
    arguments: Mapping[str, Any],
    url: str | None = None,
    headers: Mapping[str, str] | None = None,
    credentials: ClientCredentials | None = None,
    token: str | None = None,
) -> InvokeReport:
    """Call a tool. Arguments given as text become what the tool's schema asks for.

    ``token`` is shown to the deployed endpoint if it asks for one and neither ``headers`` nor ``credentials`` say
    otherwise; never to another URL.

    Raises:
        UserError: nothing is deployed, the endpoint asks for a token that is not given, or it has no such tool.
        WorldError: the server does not answer, or lets us not in.
    """
    sent = dict(headers or {})
    if url is not None:
        return _called(request, tool, arguments, url, sent, credentials)
    with reached(request) as place:
        sent = {**place.headers, **sent}
        if credentials is None and place.auth.by_token and "Authorization" not in sent:
            sent["Authorization"] = f"Bearer {_shown(place, token)}"
        if place.url is None:
            raise UserError(Problem("the deployed endpoint is a command, not a URL", "call a server with --url"))
        return _called(request, tool, arguments, place.url, sent, credentials)


def _called(
    request: Request,
    tool: str,
    arguments: Mapping[str, Any],
    url: str,
    headers: Mapping[str, str],
    credentials: ClientCredentials | None,
) -> InvokeReport:
    sent = dict(headers)
    if credentials is not None:
        with request.progress.stage("token"):
            sent["Authorization"] = f"Bearer {fetch_token(url, credentials)}"
    client = McpClient.connect(url, sent, timeout=SECONDS)
    tools = {item["name"]: item for item in client.list_tools()}
    if tool not in tools:
        raise UserError(_unknown(tool, sorted(tools)))
    typed = fitted(arguments, tools[tool].get("inputSchema", {}))
    with request.progress.stage(f"call {tool}"):
        result = client.call_tool(
            tool, typed, on_progress=lambda done, total, message: request.progress.note(_told(done, total, message))
        )
    return InvokeReport(tool=tool, result=result, is_error=bool(result.get("isError")))


def _shown(place: Endpoint, token: str | None) -> str:
    if token is not None:
        return token
    what = "one of its keys" if place.auth is Auth.BEARER else "a token of its issuer"
    more = "" if place.auth is Auth.BEARER else "; or give client credentials"
    raise UserError(
        Problem(
            f"{place.url} asks for {what}",
            f"put it into an environment variable and name that: --token-env NAME, or set {TOKEN_VARIABLE}{more}",
        )
    )


def fitted(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments whose text is read as JSON where the schema wants anything but text.

    What does not read, or reads as something that is not wanted, stays text: the server says what is wrong with it.
    """
    properties = schema.get("properties", {})
    return {
        name: _fitted(value, _types(properties.get(name, {}), schema)) if isinstance(value, str) else value
        for name, value in arguments.items()
    }


def _fitted(text: str, wanted: frozenset[str]) -> Any:
    if not wanted or "string" in wanted:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value


def _types(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int = 0) -> frozenset[str]:
    """The JSON types a value may have, as far as the schema says; empty where it does not."""
    if depth > 20:
        return frozenset()
    if isinstance(reference := schema.get("$ref"), str) and reference.startswith("#/$defs/"):
        return _types(root.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {}), root, depth + 1)
    match schema.get("type"):
        case str() as one:
            return frozenset({one})
        case list() as several:
            return frozenset(several)
    parts = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    if "enum" in schema:
        return frozenset({"string"}) if any(isinstance(item, str) for item in schema["enum"]) else frozenset({"number"})
    if isinstance(schema.get("const"), str):
        return frozenset({"string"})
    return frozenset().union(*(_types(part, root, depth + 1) for part in parts))


def _unknown(tool: str, tools: Sequence[str]) -> Problem:
    from difflib import get_close_matches

    near = get_close_matches(tool, tools, n=1)
    return Problem(
        f"the server has no tool {tool!r}",
        f"did you mean {near[0]}?" if near else "name one of its tools",
        found=", ".join(tools) or "no tools at all",
    )


def _told(done: float, total: float | None, message: str | None) -> str:
    share = f"{done:g}/{total:g}" if total is not None else f"{done:g}"
    return f"{share} {message}" if message else share

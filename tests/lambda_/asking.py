"""Events as a function URL sends them, with MCP requests of both eras in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.serve.process import ENVELOPE, JSON, LEGACY, MODERN, message

DOMAIN = "abcdefghij.lambda-url.eu-central-1.on.aws"


def event(
    method: str,
    path: str = "/mcp",
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> dict[str, Any]:
    """The event of one request (payload format 2.0)."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": DOMAIN, **(headers or {})},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abcdefghij",
            "domainName": DOMAIN,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7"},
            "stage": "$default",
            **context,
        },
        **({} if body is None else {"body": body}),
        "isBase64Encoded": False,
    }


def modern(method: str, params: Mapping[str, Any], **context: Any) -> dict[str, Any]:
    """A request of the newer era."""
    sent = {"mcp-protocol-version": MODERN, "mcp-method": method}
    if "name" in params or "uri" in params:
        sent["mcp-name"] = params.get("name") or params["uri"]
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": ENVELOPE}})
    return event("POST", body=text, headers=JSON | sent, **context)


def legacy(method: str, params: Mapping[str, Any] | None = None, identity: int | None = 1) -> dict[str, Any]:
    """A request of the older era, or a notification where there is no id."""
    document: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if identity is not None:
        document["id"] = identity
    if params is not None:
        document["params"] = params
    headers = JSON if method == "initialize" else JSON | {"mcp-protocol-version": LEGACY}
    return event("POST", body=json.dumps(document), headers=headers)


HELLO: Mapping[str, Any] = {
    "protocolVersion": LEGACY,
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


def result(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON-RPC result in an answer."""
    assert answer["statusCode"] == 200, answer
    found: dict[str, Any] = message(answer["body"].encode())["result"]
    return found

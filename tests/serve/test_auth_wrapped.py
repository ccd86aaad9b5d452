"""A server written with another library learns who is calling, and not how that was shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.serve.issuer import Issuer, issuer, key
from tests.serve.process import LEGACY, MODERN, HttpServer, http_server, make_bundle

SDK = '''
from typing import Any

from mcp.server import MCPServer
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import Context

server = MCPServer("theirs")


@server.tool()
async def who(context: Context) -> dict[str, Any]:
    """Say who calls, and what came with it."""
    caller = get_access_token()
    assert caller is not None
    told = caller.model_dump(include={"token", "client_id", "scopes", "subject", "claims"})
    return {**told, "headers": sorted(context.headers or {})}
'''

FASTMCP = '''
from typing import Any

from fastmcp import FastMCP
from fastmcp.server.dependencies import get_access_token, get_http_request

server = FastMCP("theirs")


@server.tool
async def who() -> dict[str, Any]:
    """Say who calls, and what came with it."""
    caller = get_access_token()
    assert caller is not None
    told = caller.model_dump(include={"token", "client_id", "scopes", "subject", "claims"})
    return {**told, "headers": sorted(get_http_request().headers)}
'''


@pytest.fixture(scope="module")
def ours() -> Iterator[Issuer]:
    with issuer(key("ES256")) as running:
        yield running


@pytest.fixture(scope="module", params=["sdk", "fastmcp"])
def server(
    request: pytest.FixtureRequest, ours: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HttpServer]:
    source = SDK if request.param == "sdk" else FASTMCP
    bundle = make_bundle(tmp_path_factory.mktemp(request.param) / "bundle", source, entrypoint="server:server")
    with http_server(bundle, {"serve": {"auth": {"mode": "oidc", "issuer": ours.url}}}) as running:
        yield running


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_it_is_told_who_calls(server: HttpServer, ours: Issuer, era: str) -> None:
    claims = ours.claims(aud=server.url, groups=["a", {"b": ["c"]}])
    shown = {"authorization": f"Bearer {ours.token(**claims)}"}
    ask = server.modern if era == MODERN else server.legacy
    told: dict[str, Any] = ask("tools/call", {"name": "who", "arguments": {}}, **shown)["result"]["structuredContent"]
    assert "authorization" not in told.pop("headers")
    assert told == {
        "token": "",
        "client_id": "app",
        "scopes": ["notes:read", "notes:write"],
        "subject": "someone",
        "claims": claims,
    }
    refused = ask("tools/call", {"name": "who", "arguments": {}})
    assert refused["error"]["message"] == "A bearer token is needed"

"""Tokens of a real authorization server, got as clients get them: from the refusal onward."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import TokenStorage
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from mcp_packager.verify.token import ClientCredentials, fetch_token
from tests import real_parts
from tests.serve.issuer import CLIENT, PLAIN_CLIENT, PLAIN_SECRET, SECRET, issuer, key, real_issuer
from tests.serve.process import ENVELOPE, JSON, LEGACY, MODERN, HttpServer, http_server, make_bundle

pytestmark = [pytest.mark.real("node22"), pytest.mark.real("node-modules")]

SOURCE = '''
from typing import Any

from mcp_tool import Context, tool


@tool
def who(context: Context) -> dict[str, Any]:
    """Say who calls."""
    caller = context.principal
    assert caller is not None
    return {
        "kind": caller.kind,
        "subject": caller.subject,
        "issuer": caller.issuer,
        "client": caller.client_id,
        "scopes": sorted(caller.scopes),
        "audience": caller.claims["aud"],
        "headers": sorted(context.headers or {}),
    }


@tool(scopes=["notes:write"])
def write() -> str:
    """Do what takes a scope."""
    return "written"
'''

OLD, NEW = key("RS256", "old"), key("RS256", "new")
WAIT = 30.0


def oidc(url: str) -> dict[str, Any]:
    return {"serve": {"auth": {"mode": "oidc", "issuer": url, "scopes": ["notes:read"]}}}


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with real_issuer(tmp_path_factory.mktemp("issuer"), OLD) as url:
        yield url


@pytest.fixture(scope="module")
def server(login: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    bundle = make_bundle(tmp_path_factory.mktemp("server") / "bundle", SOURCE)
    with http_server(bundle, oidc(login)) as running:
        yield running


def token(server: HttpServer, *scopes: str, url: str | None = None) -> str:
    return fetch_token(server.url, ClientCredentials(CLIENT, SECRET, url, scopes))


def called(server: HttpServer, tool: str, shown: str | None, era: str = MODERN) -> tuple[int, dict[str, str], Any]:
    params: dict[str, Any] = {"name": tool, "arguments": {}}
    headers = JSON | {"mcp-protocol-version": era}
    if era == MODERN:
        params["_meta"] = ENVELOPE
        headers |= {"mcp-method": "tools/call", "mcp-name": tool}
    if shown is not None:
        headers["authorization"] = f"Bearer {shown}"
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    status, received, data = server.request("POST", "/mcp", body, headers)
    return status, received, data.decode()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_token_is_found_from_the_refusal_onward(server: HttpServer, login: str) -> None:
    shown = token(server, "notes:read")
    told = server.modern("tools/call", {"name": "who", "arguments": {}}, authorization=f"Bearer {shown}")
    said = told["result"]["structuredContent"]
    assert "authorization" not in said.pop("headers")
    assert said == {
        "kind": "jwt",
        "subject": CLIENT,
        "issuer": login,
        "client": CLIENT,
        "scopes": ["notes:read"],
        "audience": server.url,
    }


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_a_tool_may_ask_for_more(server: HttpServer, era: str) -> None:
    little, much = token(server, "notes:read"), token(server, "notes:read", "notes:write")
    assert called(server, "who", little, era)[0] == 200
    status, headers, _ = called(server, "write", little, era)
    assert status == 403
    assert headers["www-authenticate"] == (
        'Bearer error="insufficient_scope", '
        f'resource_metadata="http://127.0.0.1:{server.port}/.well-known/oauth-protected-resource/mcp", '
        'scope="notes:read notes:write"'
    )
    assert "written" in called(server, "write", much, era)[2]


def test_tokens_for_others_and_for_nothing_are_refused(server: HttpServer, login: str) -> None:
    elsewhere = fetch_token("https://other.test/mcp", ClientCredentials(CLIENT, SECRET, f"{login}/token"))
    assert called(server, "who", elsewhere)[0] == 401
    assert called(server, "who", token(server, "notes:write"))[0] == 403
    assert called(server, "who", token(server, "notes:read")[:-4])[0] == 401
    assert called(server, "who", None)[0] == 401


def test_metadata_names_the_issuer(server: HttpServer, login: str) -> None:
    page = {"origin": "https://page.example"}
    for place in ("/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"):
        status, headers, body = server.request("GET", place, headers=page)
        assert (status, headers["access-control-allow-origin"]) == (200, "*")
        assert json.loads(body) == {
            "resource": server.url,
            "authorization_servers": [login],
            "scopes_supported": ["notes:read", "notes:write"],
            "bearer_methods_supported": ["header"],
        }
        asked = page | {
            "access-control-request-method": "GET",
            "access-control-request-headers": "mcp-protocol-version",
        }
        status, headers, _ = server.request("OPTIONS", place, headers=asked)
        assert status == 200
        assert headers["access-control-allow-origin"] == headers["access-control-allow-headers"] == "*"
        assert server.request("POST", place, b"", page)[0] == 405
    # The endpoint itself is not for pages of any origin.
    assert server.request("POST", "/mcp", b"", page)[0] == 403


def test_no_token_is_logged(server: HttpServer) -> None:
    shown = token(server, "notes:read")
    assert called(server, "who", shown)[0] == 200
    assert called(server, "who", shown[:-4])[0] == 401
    log = server.log.read_text(encoding="utf-8")
    assert len([line for line in log.splitlines() if line]) > 2
    for part in shown.split("."):
        assert part not in log
    assert CLIENT not in log


@dataclass
class Storage(TokenStorage):
    """Where the SDK keeps a token."""

    tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        raise AssertionError("nobody registers here")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_sdks_own_client_logs_in_and_asks_for_more(server: HttpServer, login: str, mode: Any) -> None:
    storage = Storage()
    provider = ClientCredentialsOAuthProvider(server.url, storage, CLIENT, SECRET, issuer=login)

    async def story() -> None:
        async with (
            httpx2.AsyncClient(auth=provider, trust_env=False) as http,
            Client(streamable_http_client(server.url, http_client=http), mode=mode) as client,
        ):
            told = await client.call_tool("who", {})
            assert told.structured_content is not None
            assert told.structured_content["scopes"] == ["notes:read"]
            assert storage.tokens is not None
            first = storage.tokens.access_token
            written = await client.call_tool("write", {})
            assert not written.is_error
            assert storage.tokens.access_token != first
            assert set((storage.tokens.scope or "").split()) == {"notes:read", "notes:write"}

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["sdk", "client"])
def test_typescripts_clients_log_in_and_ask_for_more(server: HttpServer, login: str, tmp_path: Path, kind: str) -> None:
    script = tmp_path / "issuer_client.mjs"
    script.write_bytes((Path(__file__).parent / script.name).read_bytes())
    (tmp_path / "node_modules").symlink_to(real_parts.node_modules())
    line = [str(real_parts.node22()), str(script), kind, server.url, login, PLAIN_CLIENT, PLAIN_SECRET]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    first = ["notes:read"] if kind == "client" else ["notes:read", "notes:write"]
    assert json.loads(done.stdout) == {"scopes": first, "written": "written"}


def test_an_issuer_that_comes_late_and_changes_its_keys(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    (tmp_path / "issuer").mkdir()
    bundle = make_bundle(tmp_path / "bundle", SOURCE)
    with http_server(bundle, oidc(f"http://127.0.0.1:{port}")) as server:
        assert server.request("GET", "/readyz")[0] == 200
        # One that can be had without asking the issuer, since there is none.
        with issuer(OLD) as other:
            other.url = f"http://127.0.0.1:{port}"
            early = other.token(aud=server.url, scope="notes:read", header={"typ": "at+jwt"})
        for _ in range(3):
            status, headers, _ = called(server, "who", early)
            assert (status, headers["retry-after"]) == (503, "5")
        said = [line for line in server.lines() if "cannot be had" in line["msg"]]
        assert len(said) == 1

        with real_issuer(tmp_path / "issuer", OLD, port=port):
            until(lambda: called(server, "who", early)[0] == 200)
            old = token(server, "notes:read")
            assert called(server, "who", old)[0] == 200
        with real_issuer(tmp_path / "issuer", NEW, OLD, port=port):
            new = token(server, "notes:read")
            until(lambda: called(server, "who", new)[0] == 200)
            assert called(server, "who", old)[0] == 200
        # While it is away its keys go on.
        assert called(server, "who", new)[0] == 200

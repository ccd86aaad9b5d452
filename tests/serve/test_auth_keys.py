"""Static keys and the deploy's own token, over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.auth import OAuthClientProvider, OAuthFlowError, TokenStorage
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from mcp_packager.verify import probe_token
from mcp_tool.config import Probe, SecretRef
from mcp_tool.principal import Principal
from mcp_tool.serve.auth.probe import ProbeKey
from mcp_tool.serve.auth.shown import Denied, token
from tests.serve.issuer import text
from tests.serve.process import ENVELOPE, JSON, LEGACY, MODERN, HttpServer, command, http_server, make_bundle, message

SOURCE = '''
import os
from typing import Any

from pydantic import BaseModel

from mcp_tool import Ask, Context, InputRequired, tool


AT_IMPORT = sorted(os.environ)


class Name(BaseModel):
    name: str


@tool
async def asks(context: Context) -> str | InputRequired:
    """Ask by hand, with a state that is to come back."""
    if context.state is None:
        return InputRequired({"who": Ask("Who?", Name)}, state="kept")
    return context.state


@tool
def who(context: Context) -> dict[str, Any]:
    """Say who calls, and what can be seen of how it was shown."""
    principal = context.principal
    return {
        "kind": principal.kind if principal else None,
        "subject": principal.subject if principal else None,
        "scopes": sorted(principal.scopes) if principal else [],
        "headers": sorted(context.headers or {}),
        "environment": [*AT_IMPORT, *os.environ],
    }


@tool(scopes=["things:write"])
def write() -> str:
    """Do what takes a scope."""
    return "written"
'''

ONE, TWO, THREE = "first-key-0123456789abcdef", "second-key-0123456789abcdef", "third-key:0123456789/abcdef+=="
PROBE_KEY = bytes(range(32))
AUDIENCE = "shop/till/prod"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("keys") / "bundle", SOURCE)


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[HttpServer]:
    (bundle / "two").write_text(f"sha256:{hashlib.sha256(TWO.encode()).hexdigest()}\n", encoding="utf-8")
    keys = [{"env": "KEY_ONE"}, {"file": str(bundle / "two")}, {"env": "KEY_THREE"}]
    serve = {"auth": {"mode": "bearer", "keys": keys}, "probe": {"key": {"env": "PROBE"}, "audience": AUDIENCE}}
    env = {"KEY_ONE": ONE, "KEY_THREE": THREE, "PROBE": PROBE_KEY.hex()}
    with http_server(bundle, {"serve": serve}, env) as running:
        yield running


def call(server: HttpServer, tool: str, token: str) -> Any:
    return server.modern("tools/call", {"name": tool, "arguments": {}}, authorization=f"Bearer {token}")


def ask(server: HttpServer, *values: bytes | str) -> tuple[int, dict[str, str], bytes]:
    """One list of tools with those `Authorization` headers."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": ENVELOPE}}).encode()
    connection = server.connection()
    try:
        connection.putrequest("POST", "/mcp")
        for name, value in (JSON | {"mcp-protocol-version": MODERN, "mcp-method": "tools/list"}).items():
            connection.putheader(name, value)
        connection.putheader("content-length", str(len(body)))
        for shown in values:
            connection.putheader("Authorization", shown)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(("key", "name"), [(ONE, "KEY_ONE"), (TWO, "two"), (THREE, "KEY_THREE")])
def test_each_key_lets_in_under_its_own_name(server: HttpServer, key: str, name: str) -> None:
    told = call(server, "who", key)["result"]["structuredContent"]
    assert (told["kind"], told["subject"]) == ("bearer", name)


def test_the_older_era_asks_too(server: HttpServer) -> None:
    answer = server.legacy("tools/call", {"name": "who", "arguments": {}}, authorization=f"bearer {ONE}")
    assert answer["result"]["structuredContent"]["subject"] == "KEY_ONE"
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
    assert server.request("POST", "/mcp", body, JSON | {"mcp-protocol-version": LEGACY})[0] == 401


def test_a_static_key_may_call_what_asks_for_scopes(server: HttpServer) -> None:
    assert call(server, "write", ONE)["result"]["content"][0]["text"] == "written"
    assert call(server, "who", ONE)["result"]["structuredContent"]["scopes"] == ["things:write"]


def test_what_one_caller_was_asked_no_other_answers(server: HttpServer) -> None:
    asks: dict[str, Any] = {"name": "asks", "arguments": {}}
    shown = {"authorization": f"Bearer {ONE}"}
    state = server.modern("tools/call", asks, **shown)["result"]["requestState"]
    again = asks | {
        "inputResponses": {"who": {"action": "accept", "content": {"name": "Ada"}}},
        "requestState": state,
    }
    assert server.modern("tools/call", again, **shown)["result"]["content"][0]["text"] == "kept"
    for other in (TWO, probe_token(PROBE_KEY, AUDIENCE)):
        answer = server.modern("tools/call", again, authorization=f"Bearer {other}")
        assert answer["error"]["code"] == -32602


def test_neither_keys_nor_tokens_reach_the_authors_code(server: HttpServer) -> None:
    told = call(server, "who", ONE)["result"]["structuredContent"]
    assert not {"KEY_ONE", "KEY_THREE", "PROBE"} & set(told["environment"])
    assert "authorization" not in told["headers"]
    assert "mcp-method" in told["headers"]


def test_who_shows_nothing_is_told_where_to_look(server: HttpServer) -> None:
    status, headers, body = ask(server)
    place = f"http://127.0.0.1:{server.port}/.well-known/oauth-protected-resource/mcp"
    assert status == 401
    assert headers["www-authenticate"] == f'Bearer resource_metadata="{place}"'
    assert message(body)["error"]["message"] == "A bearer key is needed; who runs this server gives them out"


TOO_LONG = "k" * 8193


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (("Bearer wrong-key",), True),
        ((f"Bearer {ONE}x",), True),
        ((f"Bearer {ONE[:-1]}",), True),
        ((f"Bearer {ONE} {ONE}",), True),
        ((f"Bearer {hashlib.sha256(ONE.encode()).hexdigest()}",), True),
        ((f"Bearer sha256:{hashlib.sha256(TWO.encode()).hexdigest()}",), True),
        ((f"Bearer {TOO_LONG}",), True),
        ((b"Bearer " + "schl\u00fcssel".encode("latin-1"),), True),
        ((b"Bearer \xff\xfe\xfd",), True),
        (("Bearer",), True),
        (("",), False),
        (("Basic dXNlcjpwYXNz",), False),
        ((ONE,), False),
    ],
)
def test_whatever_else_is_shown_is_refused(server: HttpServer, values: tuple[bytes | str, ...], shown: bool) -> None:
    status, headers, body = ask(server, *values)
    assert status == 401
    assert ('error="invalid_token"' in headers["www-authenticate"]) is shown
    assert ONE not in body.decode()
    assert ONE not in headers["www-authenticate"]


@pytest.mark.parametrize("second", [f"Bearer {ONE}", f"Bearer {TWO}", "Basic dXNlcjpwYXNz", ""])
def test_two_headers_show_nothing_to_be_believed(server: HttpServer, second: str) -> None:
    assert ask(server, f"Bearer {ONE}", second)[0] == 400
    both = [(b"authorization", f"Bearer {ONE}".encode()), (b"authorization", second.encode())]
    assert token({"headers": both}) is Denied.INVALID


def test_nothing_that_was_shown_is_logged(server: HttpServer) -> None:
    odd = "never-to-be-seen-0123456789"
    assert ask(server, f"Bearer {odd}")[0] == 401
    call(server, "who", ONE)
    log = server.log.read_text(encoding="utf-8")
    assert odd not in log
    assert ONE not in log
    assert TWO not in log
    assert PROBE_KEY.hex() not in log


def test_metadata_is_for_everybody(server: HttpServer) -> None:
    expected = {
        "resource": f"http://127.0.0.1:{server.port}/mcp",
        "scopes_supported": ["things:write"],
        "bearer_methods_supported": ["header"],
    }
    for place in ("/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"):
        status, headers, body = server.request(
            "GET",
            place,
        )
        assert (status, json.loads(body)) == (200, expected)
        assert headers["content-type"] == "application/json"


class Nothing(TokenStorage):
    """What an SDK keeps for a client that never got anything."""

    async def get_tokens(self) -> OAuthToken | None:
        return None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        raise AssertionError("nobody gives tokens")

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        raise AssertionError("nobody registers here")


def test_a_client_that_would_log_in_is_told_what_it_needs(server: HttpServer) -> None:
    wants = OAuthClientMetadata(redirect_uris=[AnyUrl("http://localhost:1/callback")])
    provider = OAuthClientProvider(server.url, wants, Nothing())

    async def story() -> None:
        async with httpx2.AsyncClient(auth=provider, trust_env=False) as http:
            await http.post(server.url, json={})

    with pytest.raises(OAuthFlowError, match="A bearer key is needed"):
        asyncio.run(story())


def test_a_key_is_changed_for_a_new_one(bundle: Path, tmp_path: Path) -> None:
    rotating = make_bundle(tmp_path / "bundle", SOURCE)
    both = {"serve": {"auth": {"mode": "bearer", "keys": [{"env": "NEW"}, {"env": "OLD"}]}}}
    only = {"serve": {"auth": {"mode": "bearer", "keys": [{"env": "NEW"}]}}}
    env = {"NEW": TWO, "OLD": ONE}
    with http_server(rotating, both, env) as server:
        assert ask(server, f"Bearer {ONE}")[0] == ask(server, f"Bearer {TWO}")[0] == 200
    with http_server(rotating, only, env) as server:
        assert ask(server, f"Bearer {ONE}")[0] == 401
        assert ask(server, f"Bearer {TWO}")[0] == 200


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "is missing"),
        ("", "is missing"),
        ("sha256:12ab", "64 hexadecimal digits"),
        ("two words", "no HTTP header can carry"),
        ("schl\u00fcssel-schl\u00fcssel", "no HTTP header can carry"),
    ],
)
def test_a_key_that_cannot_work_stops_the_start(tmp_path: Path, value: str | None, said: str) -> None:
    bundle = make_bundle(tmp_path / "bundle", SOURCE)
    config = tmp_path / "config.json"
    key = {"file": str(tmp_path / "key")}
    if value is not None:
        (tmp_path / "key").write_text(value, encoding="utf-8")
    config.write_text(json.dumps({"serve": {"auth": {"mode": "bearer", "keys": [key]}}}), encoding="utf-8")
    line = command(bundle, "--transport", "http", "--port", "0", "--config", str(config))
    ended = subprocess.run(line, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert said in json.loads(ended.stderr.splitlines()[-1])["msg"]
    assert not value or value not in ended.stderr


def test_the_deploys_token_is_trusted_with_everything(server: HttpServer) -> None:
    token = probe_token(PROBE_KEY, AUDIENCE)
    told = call(server, "who", token)["result"]["structuredContent"]
    assert (told["kind"], told["subject"]) == ("probe", AUDIENCE)
    assert call(server, "write", token)["result"]["content"][0]["text"] == "written"


def test_the_token_of_another_deployment_is_not(server: HttpServer) -> None:
    assert ask(server, f"Bearer {probe_token(PROBE_KEY, 'shop/till/dev')}")[0] == 401
    assert ask(server, f"Bearer {probe_token(bytes(32), AUDIENCE)}")[0] == 401


def test_without_a_probe_key_no_such_token_is_trusted(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", SOURCE)
    config = {"serve": {"auth": {"mode": "bearer", "keys": [{"env": "KEY_ONE"}]}}}
    with http_server(bundle, config, {"KEY_ONE": ONE}) as server:
        assert ask(server, f"Bearer {probe_token(PROBE_KEY, AUDIENCE)}")[0] == 401


VECTOR_KEY = b"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
VECTOR = (
    "mcp-pack-probe.eyJhdWQiOiJzaG9wL3RpbGwvcHJvZCIsImV4cCI6MTgwMDAwMDEyMCwiaWF0IjoxODAwMDAwMDAwfQ"
    ".NemgjVbZm5Q7uLOvyu7h2akzkGSybrWmLtjFaud_D8Q"
)
"""Made once, for this side and for the packager's (`tests/verify/test_probe.py`): the key's text, shop/till/prod,
issued at 1,800,000,000."""


def probe(now: float) -> ProbeKey:
    return ProbeKey(VECTOR_KEY, AUDIENCE, lambda: now)


def test_the_known_answer() -> None:
    assert probe(1_800_000_060)(VECTOR) == Principal("probe", AUDIENCE)
    assert probe_token(PROBE_KEY, AUDIENCE, now=1_800_000_000) == VECTOR


@pytest.mark.parametrize(
    ("now", "good"),
    [(-31, False), (-30, True), (0, True), (119, True), (149.9, True), (150, False), (1e9, False)],
)
def test_clocks_may_differ_by_half_a_minute(now: float, good: bool) -> None:
    assert isinstance(probe(1_800_000_000 + now)(VECTOR), Principal) is good


def signed(payload: bytes, key: bytes = VECTOR_KEY) -> str:
    unsigned = f"mcp-pack-probe.{text(payload)}"
    return f"{unsigned}.{text(hmac.new(key, unsigned.encode(), hashlib.sha256).digest())}"


@pytest.mark.parametrize(
    "payload",
    [
        {"aud": AUDIENCE, "iat": 1_800_000_000, "exp": 1_800_000_121},
        {"aud": AUDIENCE, "iat": 1_800_000_000, "exp": 1_800_000_000},
        {"aud": AUDIENCE, "iat": 1_800_000_000, "exp": 1_800_000_060.5},
        {"aud": AUDIENCE, "iat": True, "exp": 60},
        {"aud": AUDIENCE, "iat": 1_800_000_000},
        {"aud": AUDIENCE, "exp": 1_800_000_120},
        {"aud": [AUDIENCE], "iat": 1_800_000_000, "exp": 1_800_000_060},
        {"aud": AUDIENCE + "/x", "iat": 1_800_000_000, "exp": 1_800_000_060},
        {"iat": 1_800_000_000, "exp": 1_800_000_060},
        [AUDIENCE],
        "text",
        None,
    ],
)
def test_what_the_key_signed_must_still_make_sense(payload: Any) -> None:
    assert probe(1_800_000_001)(signed(json.dumps(payload).encode())) is Denied.INVALID


def test_a_token_that_was_touched_is_not_believed() -> None:
    good = signed(json.dumps({"aud": AUDIENCE, "iat": 1_800_000_000, "exp": 1_800_000_060}).encode())
    assert isinstance(probe(1_800_000_001)(good), Principal)
    for place in range(len("mcp-pack-probe."), len(good)):
        other = good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :]
        assert probe(1_800_000_001)(other) is Denied.INVALID
    for other in ("mcp-pack-probe.", "mcp-pack-probe..", good + "=", good + ".", good[:-1], good + "A" * 2000):
        assert probe(1_800_000_001)(other) is Denied.INVALID
    for payload in (b"", b"[" * 500, b"\xff", b"{}"):
        assert probe(1_800_000_001)(signed(payload)) is Denied.INVALID


def test_a_probe_key_shows_in_no_repr(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(VECTOR_KEY)
    key = ProbeKey.read(Probe(key=SecretRef(file=tmp_path / "key"), audience=AUDIENCE))
    assert key.key == VECTOR_KEY
    assert VECTOR_KEY.decode() not in repr(key)

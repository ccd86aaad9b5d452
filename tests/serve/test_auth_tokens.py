"""Tokens of an issuer, right and wrong in every way; the issuer is one of ours, so that it can be wrong too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_tool.config import JwtAuth, parse
from mcp_tool.principal import Principal
from mcp_tool.serve import auth
from mcp_tool.serve.auth.door import Doorkeeper
from mcp_tool.serve.auth.issuer import KeyRing, places
from mcp_tool.serve.auth.resource import Resource
from mcp_tool.serve.auth.tokens import REMEMBERED, Tokens
from mcp_tool.serve.http.gates import Refusal
from mcp_tool.serve.problem import StartProblem
from tests.serve.issuer import Issuer, answering, forged, issuer, key
from tests.serve.issuer_wrong import EC, ED, OTHER, RSA, WRONG, now

HEADERS = [(b"host", b"server.test"), (b"mcp-method", b"tools/list")]


@pytest.fixture
def ours() -> Iterator[Issuer]:
    with issuer(RSA, EC, ED) as running:
        yield running


@pytest.fixture(scope="module")
def steady() -> Iterator[Issuer]:
    """One that nobody changes."""
    with issuer(RSA, EC, ED) as running:
        yield running


def prepared(serve: Mapping[str, Any], tools: Mapping[str, frozenset[str]]) -> Doorkeeper:
    making = auth.prepare(parse({"serve": serve}))
    assert making is not None
    made = making(tools)
    assert isinstance(made, Doorkeeper)
    return made


def door(ours: Issuer, tools: Mapping[str, frozenset[str]] | None = None, **settings: Any) -> Doorkeeper:
    how: dict[str, Any] = {"mode": "oidc", "issuer": ours.url, **settings}
    return prepared({"auth": how}, tools or {})


async def ask(door: Doorkeeper, token: str | bytes | None, host: bytes = b"server.test") -> Principal | Refusal:
    shown = token.encode() if isinstance(token, str) else token
    raw = [(b"host", host), *([] if shown is None else [(b"authorization", b"Bearer " + shown)])]
    return await door({"headers": raw, "scheme": "http", "path": "/mcp"}, dict(raw))


def once(door: Doorkeeper, token: str | bytes | None, host: bytes = b"server.test") -> Principal | Refusal:
    return asyncio.run(ask(door, token, host))


def status(answer: Principal | Refusal) -> int:
    return answer.status if isinstance(answer, Refusal) else 200


def challenge(answer: Principal | Refusal) -> str:
    assert isinstance(answer, Refusal)
    return dict(answer.headers)[b"www-authenticate"].decode()


@pytest.mark.parametrize("by", [RSA, EC, ED], ids=lambda one: one.algorithm)
def test_a_good_token_says_who_calls(steady: Issuer, by: Any) -> None:
    who = once(door(steady), steady.token(by, groups=["a", {"b": ["c"]}]))
    assert who == Principal("jwt", "someone", steady.url, "app", frozenset({"notes:read", "notes:write"}))
    assert isinstance(who, Principal)
    assert who.claims["groups"] == ("a", {"b": ("c",)})
    with pytest.raises(TypeError):
        who.claims["groups"][1]["b"] = "other"  # one principal is shared by many calls


def test_where_keys_are_is_found_by_either_discovery(ours: Issuer) -> None:
    found = json.dumps({"issuer": ours.url, "jwks_uri": f"{ours.url}/keys"}).encode()
    ours.answers["/.well-known/openid-configuration"] = answering(404, b"")
    assert status(once(door(ours), ours.token())) == 503
    ours.answers["/.well-known/oauth-authorization-server"] = answering(200, found)
    assert status(once(door(ours), ours.token())) == 200


def test_an_issuer_with_a_path_is_asked_in_all_three_places() -> None:
    assert places("https://login.test/tenant/") == (
        "https://login.test/tenant/.well-known/openid-configuration",
        "https://login.test/.well-known/oauth-authorization-server/tenant",
        "https://login.test/.well-known/openid-configuration/tenant",
    )


def test_a_slash_at_the_end_of_an_issuer_makes_no_difference(steady: Issuer) -> None:
    for configured in (steady.url, steady.url + "/"):
        for named in (steady.url, steady.url + "/"):
            assert status(once(door(steady, issuer=configured), steady.token(iss=named))) == 200


def test_with_a_place_for_keys_nobody_looks_for_it(ours: Issuer) -> None:
    assert status(once(door(ours, mode="jwt", jwks_url=f"{ours.url}/keys"), ours.token())) == 200
    assert ours.asked == {"/keys": 1}


def test_a_token_need_not_name_the_only_key_of_its_kind(ours: Issuer) -> None:
    unnamed = [ours.token(by, {"kid": None}) for by in (RSA, EC, ED)]
    assert [status(once(door(ours), token)) for token in unnamed] == [200, 200, 200]
    ours.publish(RSA, key("RS256", "r2"), EC, ED)
    assert [status(once(door(ours), token)) for token in unnamed] == [401, 200, 200]
    assert status(once(door(ours), ours.token(RSA))) == 200


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_token_is_refused(steady: Issuer, what: str) -> None:
    token = WRONG[what](steady)
    answer = once(door(steady), token)
    assert status(answer) == 401
    assert challenge(answer).startswith('Bearer error="invalid_token"')
    assert isinstance(answer, Refusal)
    assert token not in answer.message


def test_clocks_may_differ_a_little(steady: Issuer) -> None:
    assert status(once(door(steady), steady.token(exp=now() - 20))) == 200
    assert status(once(door(steady), steady.token(nbf=now() + 20, iat=now() + 20))) == 200


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "x5c", "zip"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2),
    ),
    claims=st.dictionaries(
        st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "sub", "scope", "scp", "client_id", "azp", "token_use"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text() | st.none()),
    ),
    signed=st.booleans(),
)
def test_no_token_breaks_the_door(steady: Issuer, header: dict[str, Any], claims: dict[str, Any], signed: bool) -> None:
    head = {"alg": "RS256", "kid": "r"} | header
    whole = steady.claims() | claims
    token = forged(head, whole)
    if signed:
        import base64

        from jwt.algorithms import RSAAlgorithm

        mark = RSAAlgorithm(RSAAlgorithm.SHA256).sign(token.rpartition(".")[0].encode(), RSA.private)
        token = token.rpartition(".")[0] + "." + base64.urlsafe_b64encode(mark).rstrip(b"=").decode()
    answer = once(door(steady, mode="jwt", jwks_url=f"{steady.url}/keys"), token)
    assert status(answer) in {200, 401}
    assert signed or status(answer) == 401


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_no_bytes_break_the_door(steady: Issuer, shown: bytes) -> None:
    assert status(once(door(steady), shown)) == 401


def test_scopes_are_read_in_each_form(steady: Issuer) -> None:
    for claims in ({"scope": "a b"}, {"scope": None, "scp": ["a", "b"]}, {"scope": None, "scp": "a b"}):
        who = once(door(steady), steady.token(**claims))
        assert isinstance(who, Principal)
        assert who.scopes == {"a", "b"}


def test_a_missing_scope_is_told_with_all_that_are_wanted(steady: Issuer) -> None:
    strict = door(steady, {"write": frozenset({"notes:write"})}, scopes=["notes:read", "notes:list"])
    answer = once(strict, steady.token(scope="notes:read"))
    assert status(answer) == 403
    place = "http://server.test/.well-known/oauth-protected-resource/mcp"
    assert challenge(answer) == (
        f'Bearer error="insufficient_scope", resource_metadata="{place}", scope="notes:list notes:read"'
    )
    raw = {b"host": b"server.test"}
    refusal = strict.forbidden({"headers": [], "scheme": "http", "path": "/mcp"}, raw, frozenset({"notes:write"}))
    assert 'scope="notes:list notes:read notes:write"' in challenge(refusal)
    assert challenge(once(strict, None)) == f'Bearer resource_metadata="{place}", scope="notes:list notes:read"'


@pytest.mark.parametrize(
    "aud",
    [
        "http://server.test/mcp",
        "http://server.test/mcp/",
        "HTTP://Server.test:80/mcp",
        ["other", "http://server.test/mcp"],
    ],
)
def test_the_audience_is_the_resource_by_any_spelling(steady: Issuer, aud: Any) -> None:
    assert status(once(door(steady), steady.token(aud=aud))) == 200


def test_the_audience_may_be_named(steady: Issuer) -> None:
    named = door(steady, audience="the-api")
    assert status(once(named, steady.token(aud="the-api"))) == 200
    assert status(once(named, steady.token(aud=["x", "the-api"]))) == 200
    assert status(once(named, steady.token())) == 401
    assert status(once(named, steady.token(aud=None, client_id="the-api"))) == 200  # as Cognito's are
    assert status(once(named, steady.token(aud=None, client_id="another"))) == 401
    assert status(once(named, steady.token(aud=None, client_id=None, azp="the-api"))) == 401
    assert status(once(named, steady.token(aud="the-api", token_use="id"))) == 401


def test_the_public_url_goes_before_the_host(steady: Issuer) -> None:
    how = {"mode": "oidc", "issuer": steady.url}
    made = prepared({"auth": how, "public_url": "https://tools.test/base"}, {})
    assert status(once(made, steady.token(aud="https://tools.test/base/mcp"))) == 200
    assert status(once(made, steady.token())) == 401
    place = "https://tools.test/.well-known/oauth-protected-resource/base/mcp"
    assert f'resource_metadata="{place}"' in challenge(once(made, None))
    for path in ("/base/mcp", "/mcp", ""):
        scope = {"path": f"/.well-known/oauth-protected-resource{path}", "headers": [], "scheme": "http"}
        document = made.metadata(scope, {b"host": b"inside:8080"})
        assert document is not None
        assert json.loads(document) == {
            "resource": "https://tools.test/base/mcp",
            "authorization_servers": [steady.url],
            "bearer_methods_supported": ["header"],
        }


def test_metadata_is_nowhere_else(steady: Issuer) -> None:
    serve = {"auth": {"mode": "oidc", "issuer": steady.url}, "root_metadata": False}
    made = prepared(serve, {"a": frozenset({"x"}), "b": frozenset({"y", "x"})})
    known = "/.well-known/oauth-protected-resource"
    for path in (known, known + "/", known + "/other", known + "/mcp/x", known + "mcp", "/mcp", "/.well-known/x"):
        assert made.metadata({"path": path, "headers": [], "scheme": "http"}, {b"host": b"h"}) is None
    for path in (known + "/mcp", known + "/mcp/"):
        document = made.metadata({"path": path, "headers": [], "scheme": "https"}, {b"host": b"h:8443"})
        assert document is not None
        assert json.loads(document)["resource"] == "https://h:8443/mcp"
        assert json.loads(document)["scopes_supported"] == ["x", "y"]


@pytest.mark.parametrize(
    "serve",
    [
        {"auth": {"mode": "oidc", "issuer": "http://login.test"}},
        {"auth": {"mode": "oidc", "issuer": "ftp://login.test"}},
        {"auth": {"mode": "oidc", "issuer": "login.test"}},
        {"auth": {"mode": "oidc", "issuer": "https://user:word@login.test"}},
        {"auth": {"mode": "jwt", "issuer": "https://login.test", "jwks_url": "http://login.test/keys"}},
        {"auth": {"mode": "oidc", "issuer": "https://login.test"}, "allowed_hosts": ["*"]},
        {"auth": {"mode": "oidc", "issuer": "https://login.test", "scopes": ['a"b']}},
        {"auth": {"mode": "oidc", "issuer": "https://login.test"}, "public_url": "https://tööls.test"},
        {"auth": {"mode": "oidc", "issuer": "https://login.test"}, "public_url": 'https://tools.test/"'},
    ],
)
def test_a_setting_that_cannot_be_safe_stops_the_start(serve: dict[str, Any]) -> None:
    with pytest.raises(StartProblem):
        prepared(serve, {})


def test_any_host_will_do_where_the_audience_is_known() -> None:
    how = {"mode": "oidc", "issuer": "https://login.test"}
    for more in ({"public_url": "https://tools.test"}, {"auth": how | {"audience": "x"}}):
        prepared({"auth": how, "allowed_hosts": ["*"], **more}, {})


def test_a_token_is_checked_once_while_it_is_good(ours: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = 0
    real = jwt.PyJWS.decode

    def counting(*args: Any, **more: Any) -> Any:
        nonlocal checked
        checked += 1
        return real(*args, **more)

    monkeypatch.setattr(jwt.PyJWS, "decode", counting)
    one, good, bad = door(ours), ours.token(), ours.token(aud="http://other.test/mcp")

    async def many() -> None:
        for _ in range(20):
            assert status(await ask(one, good)) == 200
            assert status(await ask(one, bad)) == 401
        assert checked == 1
        # What was good for one name of the server is not good for another.
        assert status(await ask(one, good, b"alias.test")) == 401

    asyncio.run(many())


def test_nothing_is_remembered_past_its_end(ours: Issuer) -> None:
    at = [float(now())]
    resource = Resource("/mcp", "http://server.test/mcp", at_root=True)
    tokens = Tokens(JwtAuth(mode="oidc", issuer=ours.url), resource, KeyRing(ours.url, None), lambda: at[0])
    begun = at[0]

    async def story() -> None:
        short, long = ours.token(exp=begun + 10), ours.token(exp=begun + 600)
        for token in (short, long):
            assert isinstance(await tokens({}, {}, token), Principal)
        ours.publish(OTHER)  # the key is withdrawn
        tokens._keys._keys = {}
        at[0] = begun + 9
        assert isinstance(await tokens({}, {}, short), Principal)
        at[0] = begun + 10
        assert not isinstance(await tokens({}, {}, short), Principal)
        at[0] = begun + REMEMBERED - 1
        assert isinstance(await tokens({}, {}, long), Principal)
        at[0] = begun + REMEMBERED
        assert not isinstance(await tokens({}, {}, long), Principal)

    asyncio.run(story())


def test_what_is_remembered_is_bounded(ours: Issuer) -> None:
    one = door(ours)

    async def many() -> None:
        for number in range(1200):
            assert status(await ask(one, ours.token(ED, sub=str(number)))) == 200

    asyncio.run(many())
    assert len(one.proof._good) == 1024  # type: ignore[attr-defined]  # what this test is about

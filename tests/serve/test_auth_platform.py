"""The platform's word for who is calling, and those who write its headers themselves."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mcp_tool.config import parse
from mcp_tool.principal import Principal
from mcp_tool.serve import auth
from mcp_tool.serve.http.gates import PEER, PLATFORM, Platform, Refusal
from tests.serve.process import http_server, make_bundle

IDENTITY, DATA = b"x-amzn-oidc-identity", b"x-amzn-oidc-data"


def signed(header: Mapping[str, Any], claims: Mapping[str, Any]) -> bytes:
    """As Elastic Load Balancing writes it: with padding."""
    parts = (json.dumps(header), json.dumps(claims), "signature-that-nobody-checks")
    return b".".join(base64.urlsafe_b64encode(part.encode()) for part in parts)


def by_balancer(**changed: Any) -> bytes:
    header = {
        "typ": "JWT",
        "alg": "ES256",
        "kid": "12345678-1234-1234-1234-123456789012",
        "signer": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/tools/0123456789abcdef",
        "iss": "https://login.test",
        "client": "balancer",
        "exp": int(time.time()) + 120,
        **changed,
    }
    return signed(header, {"sub": "ada", "email": "ada@example.com", "exp": header["exp"], "iss": header["iss"]})


def ask(scope: Mapping[str, Any], headers: list[tuple[bytes, bytes]], **serve: Any) -> Principal | Refusal:
    making = auth.prepare(parse({"serve": {"auth": {"mode": "iam"}, **serve}}))
    assert making is not None
    door = making({})
    raw = [(b"host", b"server.test"), *headers]
    whole = {"scheme": "https", "path": "/mcp", "headers": raw, **scope}
    return asyncio.run(door(whole, dict(reversed(raw))))


INSIDE = {"client": ("10.0.3.7", 443)}
TRUST = {"trusted_proxies": ["10.0.0.0/8", "fd00::/8"]}


def test_a_trusted_balancer_says_who_calls() -> None:
    who = ask(INSIDE, [(IDENTITY, b"ada"), (DATA, by_balancer())], **TRUST)
    assert who == Principal("iam", "ada", "https://login.test", "balancer")
    assert isinstance(who, Principal)
    assert who.claims["email"] == "ada@example.com"
    assert not who.may(frozenset({"notes:write"}))
    assert ask(INSIDE, [(IDENTITY, b"ada")], **TRUST) == Principal("iam", "ada")


@pytest.mark.parametrize(
    "scope",
    [
        {"client": ("203.0.113.9", 443)},
        {"client": ("203.0.113.9", 443), PEER: "203.0.113.9"},
        {"client": ("10.0.3.7", 0), PEER: "203.0.113.9"},
        {"client": None},
        {},
        {"client": ("unix", 0)},
    ],
)
def test_nobody_else_does(scope: Mapping[str, Any]) -> None:
    answer = ask(scope, [(IDENTITY, b"ada"), (DATA, by_balancer())], **TRUST)
    assert isinstance(answer, Refusal)
    assert answer.status == 401


@pytest.mark.parametrize(
    ("scope", "trusted"),
    [
        ({"client": ("203.0.113.9", 0), PEER: "10.0.3.7"}, True),  # for whom the balancer speaks
        ({"client": ("::ffff:10.0.3.7", 443)}, True),
        ({"client": ("fd00::7", 443)}, True),
        ({"client": ("fe80::7", 443)}, False),
    ],
)
def test_it_is_the_peer_that_counts(scope: Mapping[str, Any], trusted: bool) -> None:
    assert isinstance(ask(scope, [(IDENTITY, b"ada")], **TRUST), Principal) is trusted


def test_without_trusted_networks_no_header_counts() -> None:
    assert isinstance(ask(INSIDE, [(IDENTITY, b"ada"), (DATA, by_balancer())]), Refusal)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(IDENTITY, b"")],
        [(DATA, by_balancer())],
        [(IDENTITY, b"ada"), (IDENTITY, b"root"), (DATA, by_balancer())],
        [(IDENTITY, b"root"), (DATA, by_balancer())],
        [(IDENTITY, b"ada"), (DATA, by_balancer(exp=int(time.time()) - 60))],
        [(IDENTITY, b"ada"), (DATA, by_balancer(exp=None))],
        [(IDENTITY, b"ada"), (DATA, by_balancer(exp="soon"))],
        [(IDENTITY, b"ada"), (DATA, b"")],
        [(IDENTITY, b"ada"), (DATA, b"e30=")],
        [(IDENTITY, b"ada"), (DATA, b"\xff.\xff.\xff")],
        [(IDENTITY, b"ada"), (DATA, b"W10=.W10=.W10=")],
        [(IDENTITY, b"ada"), (DATA, b"W1tb.W1tb.")],
    ],
)
def test_what_does_not_fit_together_is_not_believed(headers: list[tuple[bytes, bytes]]) -> None:
    answer = ask(INSIDE, headers, **TRUST)
    assert isinstance(answer, Refusal)
    assert answer.status == 401


IAM = {
    "accessKey": "ASIAEXAMPLE",
    "accountId": "123456789012",
    "callerId": "AROAEXAMPLE:session",
    "cognitoIdentity": None,
    "principalOrgId": "o-example",
    "userArn": "arn:aws:sts::123456789012:assumed-role/tools/session",
    "userId": "AROAEXAMPLE:session",
}
ARN = IAM["userArn"]
CLAIMS = {"sub": "ada", "iss": "https://login.test", "client_id": "app", "scope": "notes:read notes:write", "exp": "9"}


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"authorizer": {"iam": IAM}}, Principal("iam", str(ARN), "sts.amazonaws.com/123456789012")),
        (
            {"identity": {"userArn": ARN, "accountId": "123456789012", "caller": "x", "user": "y"}, "authorizer": None},
            Principal("iam", str(ARN), "sts.amazonaws.com/123456789012"),
        ),
        (
            {"authorizer": {"jwt": {"claims": CLAIMS, "scopes": None}}},
            Principal("iam", "ada", "https://login.test", "app", frozenset({"notes:read", "notes:write"})),
        ),
        (
            {"authorizer": {"jwt": {"claims": {"sub": "ada", "azp": "app", "scp": "[notes:read notes:list]"}}}},
            Principal("iam", "ada", "", "app", frozenset({"notes:read", "notes:list"})),
        ),
        (
            {"authorizer": {"claims": {"sub": "ada", "iss": "https://login.test", "cognito:groups": "a"}}},
            Principal("iam", "ada", "https://login.test"),
        ),
        ({"authorizer": {"principalId": "ada", "integrationLatency": 3}}, Principal("iam", "ada")),
        ({"authorizer": {"lambda": {"principalId": "ada"}}}, Principal("iam", "ada")),
    ],
)
def test_an_event_says_who_calls(context: dict[str, Any], expected: Principal) -> None:
    # What the client itself wrote counts for nothing, whoever is trusted.
    forged = [(IDENTITY, b"root"), (DATA, by_balancer())]
    who = ask({PLATFORM: Platform("server.test", identity=context), **INSIDE}, forged, **TRUST)
    assert who == expected
    assert isinstance(who, Principal)
    assert "accessKey" not in who.claims


@pytest.mark.parametrize(
    "context",
    [
        None,
        {},
        {"authorizer": None},
        {"authorizer": {}},
        {"authorizer": {"iam": None}},
        {"authorizer": {"iam": {"userArn": None}}},
        {"authorizer": {"jwt": {"claims": {"scope": "notes:read"}}}},
        {"authorizer": {"lambda": {"anything": "at all"}}},
        {"authorizer": {"lambda": None}},
        {"identity": {"userArn": None, "sourceIp": "203.0.113.9"}},
    ],
)
def test_an_event_that_names_nobody_lets_nobody_in(context: dict[str, Any] | None) -> None:
    forged = [(IDENTITY, b"root"), (DATA, by_balancer())]
    answer = ask({PLATFORM: Platform("server.test", identity=context), **INSIDE}, forged, **TRUST)
    assert isinstance(answer, Refusal)
    assert answer.status == 401


def test_a_balancers_event_has_its_headers() -> None:
    context = {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/t/0"}}
    scope = {PLATFORM: Platform("server.test", identity=context)}
    assert ask(scope, [(IDENTITY, b"ada"), (DATA, by_balancer())]) == Principal(
        "iam", "ada", "https://login.test", "balancer"
    )
    assert isinstance(ask(scope, []), Refusal)


SOURCE = '''
from mcp_tool import Context, tool


@tool
def who(context: Context) -> list[str]:
    """Say who calls, and what came with it."""
    principal = context.principal
    return [principal.kind, principal.subject, *sorted(context.headers or {})] if principal else []


@tool(scopes=["notes:write"])
def write() -> str:
    """Do what takes a scope."""
    return "written"
'''


def test_behind_a_real_connection(tmp_path: Path) -> None:
    shown = {"x-amzn-oidc-identity": "ada", "x-amzn-oidc-data": by_balancer().decode(), "x-amzn-oidc-accesstoken": "t"}
    trusting = {"serve": {"auth": {"mode": "iam"}, "trusted_proxies": ["127.0.0.1/32"]}}
    with http_server(make_bundle(tmp_path / "trusting", SOURCE), trusting) as server:
        # The balancer speaks for a client elsewhere; it is the balancer that is trusted.
        told = server.modern(
            "tools/call", {"name": "who", "arguments": {}}, **shown, **{"x-forwarded-for": "203.0.113.9"}
        )
        kind, subject, *headers = told["result"]["structuredContent"]["result"]
        assert (kind, subject) == ("iam", "ada")
        assert "x-amzn-oidc-identity" in headers
        assert not {"x-amzn-oidc-data", "x-amzn-oidc-accesstoken"} & set(headers)
        assert "error" in server.modern("tools/call", {"name": "write", "arguments": {}}, **shown)
    careful = {"serve": {"auth": {"mode": "iam"}, "trusted_proxies": ["10.0.0.0/8"]}}
    with http_server(make_bundle(tmp_path / "careful", SOURCE), careful) as server:
        told = server.modern("tools/call", {"name": "who", "arguments": {}}, **shown, **{"x-forwarded-for": "10.0.0.1"})
        assert told["error"]["message"] == "What stands in front of this server has not said who is calling"

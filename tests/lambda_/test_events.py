"""Events of every form, as AWS documents them, to requests and back; and a function that answers each of them."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_tool.serve.aws import events
from mcp_tool.serve.http.gates import Platform
from tests.lambda_.asking import DOMAIN, event, modern
from tests.lambda_.test_streaming import with_contract
from tests.serve.process import make_bundle

BALANCER = "tools-1234567890.eu-central-1.elb.amazonaws.com"
_TARGET = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/tools/0123456789abcdef"


def rest(**more: Any) -> dict[str, Any]:
    """An event of a REST API (API Gateway developer guide, "Lambda proxy integrations", input format)."""
    return {
        "resource": "/{proxy+}",
        "path": "/mcp",
        "httpMethod": "POST",
        "headers": {"Host": "api.example", "X-A": "2"},
        "multiValueHeaders": {"Host": ["api.example"], "X-A": ["1", "2"]},
        "queryStringParameters": {"q": "a b"},
        "multiValueQueryStringParameters": {"q": ["a b", "\u00e9"]},
        "requestContext": {
            "domainName": "api.example",
            "stage": "prod",
            "path": "/prod/mcp",
            "identity": {"sourceIp": "192.0.2.9", "userArn": None},
        },
        "body": "{}",
        "isBase64Encoded": False,
        **more,
    }


def alb(headers: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """An event of a load balancer (Elastic Load Balancing user guide, "Lambda functions as targets")."""
    given = {
        "host": BALANCER,
        "x-forwarded-for": "203.0.113.1, 192.0.2.8",
        "x-forwarded-proto": "https",
        **(headers or {}),
    }
    return {
        "requestContext": {"elb": {"targetGroupArn": _TARGET}},
        "httpMethod": "POST",
        "path": "/mcp",
        "queryStringParameters": {"q": "a%20b"},
        "headers": given,
        "body": "{}",
        "isBase64Encoded": False,
        **more,
    }


def _read(given: Any) -> events.Asked:
    return events.read(given, lambda host: host == BALANCER)


class TestRequests:
    def test_of_a_url(self) -> None:
        given = event("POST", "/mcp%20a", "caf\u00e9", {"X-A": "1,2"})
        asked = _read({**given, "rawQueryString": "a=1&a=2", "cookies": ["a=1", "b=2"]})
        assert asked.platform == Platform(DOMAIN, "https", "192.0.2.7", None)
        assert asked.headers[1:] == [(b"x-a", b"1,2"), (b"cookie", b"a=1; b=2")]
        assert (asked.form, asked.body, asked.whole) == ("url", "caf\u00e9".encode(), False)
        scope = asked.scope()
        assert (scope["method"], scope["path"], scope["raw_path"]) == ("POST", "/mcp a", b"/mcp%20a")
        assert scope["query_string"] == b"a=1&a=2"
        assert scope["client"] == ("192.0.2.7", 0)

    def test_of_a_stage_of_an_http_api(self) -> None:
        assert _read(event("POST", "/prod/mcp", stage="prod")).path == "/mcp"
        assert _read(event("POST", "/prod", stage="prod")).path == "/"
        assert _read(event("POST", "/mcp", stage="prod")).path == "/mcp"

    def test_of_a_rest_api(self) -> None:
        asked = _read(rest())
        assert asked.form == "rest"
        assert asked.headers == [(b"host", b"api.example"), (b"x-a", b"1"), (b"x-a", b"2")]
        assert asked.query == "q=a+b&q=%C3%A9"
        assert (asked.path, asked.platform.host, asked.platform.address) == ("/mcp", "api.example", "192.0.2.9")
        single = _read(rest(multiValueHeaders=None, multiValueQueryStringParameters=None))
        assert single.headers == [(b"host", b"api.example"), (b"x-a", b"2")]
        assert single.query == "q=a+b"

    def test_of_a_load_balancer(self) -> None:
        asked = _read(alb())
        assert (asked.form, asked.query) == ("alb", "q=a%20b")
        identity = {"elb": {"targetGroupArn": _TARGET}}
        assert asked.platform == Platform(BALANCER, "https", "192.0.2.8", identity)
        many = _read(alb(multiValueHeaders={"host": [BALANCER], "a": ["1", "2"]}, headers=None))
        assert many.form == "alb-multi"
        assert many.headers == [(b"host", BALANCER.encode()), (b"a", b"1"), (b"a", b"2")]

    def test_a_load_balancer_lets_any_host_through(self) -> None:
        assert _read(alb({"host": "rebound.example"})).platform.host == ""

    def test_bodies_in_base64(self) -> None:
        coded = base64.b64encode(b"\x00\xff").decode()
        assert _read({**event("POST", body=coded), "isBase64Encoded": True}).body == b"\x00\xff"
        with pytest.raises(events.UnknownEventError, match="base64"):
            _read({**event("POST", body="!"), "isBase64Encoded": True})

    @pytest.mark.parametrize(
        ("context", "kept"),
        [
            ({"authorizer": {"iam": {"userArn": "arn"}}}, {"authorizer": {"iam": {"userArn": "arn"}}}),
            ({"authorizer": {"jwt": {"claims": {}}}, "accountId": "1"}, {"authorizer": {"jwt": {"claims": {}}}}),
            ({"authorizer": {}}, None),
        ],
    )
    def test_whom_the_platform_names(self, context: dict[str, Any], kept: object) -> None:
        assert _read(event("POST", **context)).platform.identity == kept

    @given(
        st.recursive(
            st.none() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from(["version", "requestContext", "http", "elb", "path"]), inner)
            ),
        )
    )
    def test_anything_else_is_no_request(self, given_event: Any) -> None:
        with pytest.raises(events.UnknownEventError):
            _read(given_event)


class TestAnswers:
    ANSWER = events.Answered(
        200,
        [
            (b"content-type", b"application/json"),
            (b"connection", b"close"),
            (b"content-length", b"2"),
            (b"vary", b"a"),
            (b"vary", b"b"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
        ],
        b"{}",
    )

    def test_to_a_url(self) -> None:
        assert events.write(self.ANSWER, "url") == {
            "statusCode": 200,
            "headers": {"content-type": "application/json", "vary": "a, b"},
            "cookies": ["a=1", "b=2"],
            "body": "{}",
            "isBase64Encoded": False,
        }

    def test_to_the_others(self) -> None:
        many = {"content-type": ["application/json"], "vary": ["a", "b"], "set-cookie": ["a=1", "b=2"]}
        written = events.write(self.ANSWER, "rest")
        assert written["multiValueHeaders"] == many
        assert "statusDescription" not in written
        written = events.write(self.ANSWER, "alb-multi")
        assert (written["multiValueHeaders"], written["statusDescription"]) == (many, "200 OK")
        single = events.write(self.ANSWER, "alb")
        assert single["headers"] == {"content-type": "application/json", "vary": "b", "set-cookie": "b=2"}

    def test_what_is_no_text_is_coded(self) -> None:
        for answer in (
            replace(self.ANSWER, body=b"\xff"),
            events.Answered(200, [(b"content-type", b"image/png")], b"a"),
        ):
            written = events.write(answer, "url")
            assert written["isBase64Encoded"] is True
            assert base64.b64decode(written["body"]) == answer.body

    @pytest.mark.parametrize(("form", "most"), events.MOST.items())
    def test_what_is_too_large(self, form: events.Form, most: int) -> None:
        def written(size: int) -> dict[str, Any]:
            return events.write(events.Answered(200, [(b"content-type", b"text/plain")], b'"' * size), form)

        assert not events.too_large(written(most // 2 - 200), form)  # each sign takes two
        assert events.too_large(written(most // 2), form)


SOURCE = '''
from mcp_tool import Context, tool


@tool
def who(ctx: Context) -> dict[str, str]:
    """Who calls, as the platform says."""
    found = ctx.principal
    return {"subject": found.subject, "kind": found.kind} if found else {}
'''
_ASK = """
import json, os, sys
from pathlib import Path
from mcp_tool.serve.aws.handler import Handler
handler = Handler(Path(sys.argv[1]))
class Context:
    aws_request_id = "1-2-3"
for line in sys.stdin:
    print(json.dumps(handler(json.loads(line), Context())), flush=True)
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    bundle = with_contract(make_bundle(tmp_path_factory.mktemp("function") / "task", SOURCE))
    config = {"schema": 1, "serve": {"listen": False, "auth": {"mode": "iam"}}}
    (bundle / "config.json").write_text(json.dumps(config))
    process = subprocess.Popen(
        [sys.executable, "-c", _ASK, str(bundle)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout

    def ask(sent: Any) -> dict[str, Any]:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(sent) + "\n")
        process.stdin.flush()
        found: dict[str, Any] = json.loads(process.stdout.readline())
        return found

    yield ask
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


class TestFunction:
    """A handler as AWS's runtime calls it, without the emulator."""

    def test_a_caller_who_signed_is_known(self, asked: Any) -> None:
        told = {"iam": {"userArn": "arn:aws:sts::123456789012:assumed-role/r/me", "accountId": "123456789012"}}
        answer = asked(modern("tools/call", {"name": "who", "arguments": {}}, authorizer=told))
        found = json.loads(answer["body"])["result"]["structuredContent"]
        assert found == {"subject": told["iam"]["userArn"], "kind": "iam"}

    def test_a_caller_with_a_token_that_the_api_has_checked(self, asked: Any) -> None:
        told = {"jwt": {"claims": {"sub": "me", "iss": "https://issuer.example"}, "scopes": None}}
        answer = asked(modern("tools/call", {"name": "who", "arguments": {}}, authorizer=told))
        assert json.loads(answer["body"])["result"]["structuredContent"]["subject"] == "me"

    def test_a_user_whom_the_load_balancer_signed_in(self, asked: Any) -> None:
        given = modern("tools/call", {"name": "who", "arguments": {}})
        headers = {**given["headers"], "host": BALANCER, "x-amzn-oidc-identity": "somebody"}
        answer = asked(alb(headers, body=given["body"], queryStringParameters={}))
        assert (answer["statusCode"], answer["statusDescription"]) == (200, "200 OK")
        assert json.loads(answer["body"])["result"]["structuredContent"] == {"subject": "somebody", "kind": "iam"}

    def test_nobody_is_refused(self, asked: Any) -> None:
        answer = asked(modern("tools/call", {"name": "who", "arguments": {}}))
        assert answer["statusCode"] == 401
        assert "www-authenticate" in answer["headers"]

    def test_health_is_everybody_s(self, asked: Any) -> None:
        assert json.loads(asked(event("GET", "/healthz"))["body"]) == {"status": "ok"}
        assert json.loads(asked(event("GET", "/readyz"))["body"]) == {"status": "ready"}

    def test_another_host_is_refused_behind_a_load_balancer(self, asked: Any) -> None:
        assert asked(alb({"host": "rebound.example"}))["statusCode"] == 421

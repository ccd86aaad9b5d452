"""Secrets out of Secrets Manager and Parameter Store: one signed call for all, and clear words where one fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_tool.config import SecretRef, parse
from mcp_tool.serve.aws import store
from mcp_tool.serve.problem import StartProblem
from tests.lambda_.asking import modern
from tests.lambda_.aws import Stores, stores
from tests.lambda_.test_streaming import running, with_contract
from tests.serve.process import make_bundle, message


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    monkeypatch.setattr(store, "_VALUES", {})
    with stores() as found:
        for name, value in found.environment.items():
            monkeypatch.setenv(name, value)
        yield found


def _of(**place: str) -> SecretRef:
    return SecretRef.model_validate({name.replace("_", "-"): value for name, value in place.items()})


def test_one_secret_takes_one_call_and_is_kept(held: Stores) -> None:
    held.secrets["prod/bank"] = "caf\u00e9"
    reference = _of(aws_sm="prod/bank")
    assert [reference.read(), reference.read()] == ["caf\u00e9"] * 2
    assert held.asked == ["GetSecretValue"]


def test_many_take_one_call_of_each_store(held: Stores) -> None:
    held.secrets |= {f"s{number}": json.dumps({"user": "u", "port": number}) for number in range(5)}
    held.parameters |= {"/a/b": "one", "c": "two"}
    references = [_of(aws_sm=f"s{number}#port") for number in range(5)] + [_of(aws_sm="s0#user")]
    references += [_of(aws_ssm="/a/b"), _of(aws_ssm="c")]
    store.fetch(references)
    assert [reference.read() for reference in references] == ["0", "1", "2", "3", "4", "u", "one", "two"]
    assert sorted(held.asked) == ["BatchGetSecretValue", "GetParameters"]


def test_as_many_as_aws_takes_at_once(held: Stores) -> None:
    held.secrets |= {f"s{number}": f"v{number}" for number in range(21)}
    held.parameters |= {f"p{number}": f"v{number}" for number in range(11)}
    references = [_of(aws_sm=f"s{number}") for number in range(21)] + [_of(aws_ssm=f"p{n}") for n in range(11)]
    store.fetch(references)
    assert [reference.read() for reference in references] == [f"v{n}" for n in range(21)] + [f"v{n}" for n in range(11)]
    assert sorted(held.asked) == ["BatchGetSecretValue", "GetParameters", "GetParameters", "GetSecretValue"]


def test_one_version_of_a_parameter(held: Stores) -> None:
    held.parameters |= {"/a/b": "new", "/a/b:3": "old"}
    references = [_of(aws_ssm="/a/b:3"), _of(aws_ssm="/a/b")]
    store.fetch(references)
    assert [reference.read() for reference in references] == ["old", "new"]


def test_what_need_not_be_there_may_be_away(held: Stores) -> None:
    held.secrets["closed"] = None
    away = [_of(aws_sm="gone"), _of(aws_ssm="/gone")]
    store.fetch(away, away)
    assert [reference.read() for reference in away] == [None, None]
    with pytest.raises(StartProblem, match="closed: AccessDeniedException"):
        store.fetch([_of(aws_sm="closed")], [_of(aws_sm="closed")])


@pytest.mark.parametrize("ending", ["", "-AbCdEf"])
def test_a_secret_by_its_arn(held: Stores, ending: str) -> None:
    held.secrets |= {"one": "1", "two": "2"}
    begin = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"
    references = [_of(aws_sm=f"{begin}{name}{ending}") for name in ("one", "two")]
    store.fetch(references)
    assert [reference.read() for reference in references] == ["1", "2"]


def test_everything_that_fails_is_named_and_nothing_shown(held: Stores) -> None:
    held.secrets |= {"closed": None, "text": "not json: hunter2", "object": json.dumps({"a": ["hunter2"]})}
    held.parameters["there"] = "hunter2"
    references = [_of(aws_sm=name) for name in ("closed", "gone", "text#key", "object#a")]
    references += [_of(aws_ssm="there"), _of(aws_ssm="away")]
    with pytest.raises(StartProblem) as caught:
        store.fetch(references)
    assert caught.value.what == (
        "secrets cannot be read: away: not found; closed: AccessDeniedException; gone: ResourceNotFoundException; "
        "object#a: the secret is no JSON object with that key; text#key: the secret is no JSON object with that key"
    )
    assert "hunter2" not in caught.value.what


def test_a_busy_service_is_asked_again(held: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PAUSES", (0.0, 0.0))
    held.secrets["a"], held.busy = "1", 2
    assert _of(aws_sm="a").read() == "1"
    monkeypatch.setattr(store, "_VALUES", {})
    held.busy = 3
    with pytest.raises(StartProblem, match="a: ThrottlingException"):
        _of(aws_sm="a").read()


def test_who_is_away_is_told(held: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PAUSES", (0.0, 0.0))
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9/")
    with pytest.raises(StartProblem, match=r"a: 127\.0\.0\.1:9 does not answer: ConnectionRefusedError"):
        _of(aws_ssm="a").read()
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StartProblem, match="b: there are no credentials of AWS"):
        _of(aws_sm="b").read()
    assert held.asked == []


def test_another_key_is_refused(held: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake would notice a signature that is wrong."""
    held.secrets["a"] = "1"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(StartProblem, match="a: InvalidSignatureException"):
        _of(aws_sm="a").read()


@pytest.mark.parametrize("place", [{}, {"aws-sm": "a", "aws-ssm": "b"}, {"env": "A", "aws-sm": "a"}])
def test_a_secret_stands_in_one_place(place: dict[str, str]) -> None:
    with pytest.raises(StartProblem, match="a secret is"):
        parse({"secrets": {"A": place}})


SOURCE = '''
import os

from mcp_tool import tool

AT_IMPORT = os.environ.get("TOKEN", "")


@tool
def told() -> dict[str, str]:
    """What the author's code finds."""
    return {"import": AT_IMPORT, "file": open(os.environ["KEY"]).read(), "seen": str("PROBE" in os.environ)}
'''


def test_a_function_reads_all_of_them_before_the_author_s_code(tmp_path: Path, held: Stores) -> None:
    """Its own keys too: for those that seal state, and for the probe's."""
    held.secrets |= {"token": "t", "sealing": "k" * 64, "probe": "p" * 64}
    held.parameters["/key"] = "the key"
    bundle = make_bundle(tmp_path / "task", SOURCE, secrets={"TOKEN": {}, "KEY": {"as": "file"}})
    config: dict[str, Any] = {
        "secrets": {"TOKEN": {"aws-sm": "token"}, "KEY": {"aws-ssm": "/key"}},
        "serve": {
            "listen": False,
            "state_keys": [{"aws-sm": "sealing"}],
            "probe": {"key": {"aws-sm": "probe"}, "audience": "a/b/c"},
            "auth": {"mode": "iam"},
        },
    }
    call = modern(
        "tools/call",
        {"name": "told", "arguments": {}},
        authorizer={"iam": {"userArn": "arn:aws:iam::123456789012:user/me", "accountId": "123456789012"}},
    )
    with_contract(bundle)
    with running(bundle, config) as runtime:
        _, body = runtime.api.invoke(call).streamed()
        refused, _ = runtime.api.invoke(modern("tools/call", {"name": "told", "arguments": {}})).streamed()
    found = message(body)["result"]["structuredContent"]
    assert found == {"import": "t", "file": "the key", "seen": "False"}
    assert refused["statusCode"] == 401
    assert sorted(held.asked) == ["BatchGetSecretValue", "GetParameters"]

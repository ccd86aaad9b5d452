"""The audit stream: what stands in it, what never does, and where it goes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_tool.principal import Principal
from mcp_tool.record import Record
from mcp_tool.serve.observe.audit import Audit, Audited
from mcp_tool.serve.observe.redact import HIDDEN, MOST_TEXT, Redaction, secret_name
from tests.serve.process import ENVELOPE, MODERN
from tests.serve.seen import KINDS, Watched, bundle_of, wait_for, watched

CANARY = "canary-4711"

SECRETS = [
    "password",
    "passwd",
    "PASSWORD",
    "userPassword",
    "db_password2",
    "token",
    "accessToken",
    "secret",
    "clientSecret",
    "apiKey",
    "api_key",
    "API_KEY",
    "apikey",
    "X-API-Key",
    "private_key",
    "AWSSecretKey",
    "credential",
    "credentials",
    "Authorization",
    "Cookie",
    "passphrase",
    "pwd",
]
NO_SECRETS = [
    "name",
    "keyword",
    "monkey",
    "key",
    "tokenizer",
    "secretary",
    "passenger",
    "author",
    "a_key",
    "text",
    "pin",
]

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "note": {"type": "string"},
        "pin": {"type": "string", "writeOnly": True},
        "mark": {"type": "string", "x-secret": True},
        "login": {"type": "string", "format": "password"},
        "maybe": {"anyOf": [{"type": "string", "writeOnly": True}, {"type": "null"}]},
        "both": {"allOf": [{"type": "string"}, {"writeOnly": True}]},
        "node": {"$ref": "#/$defs/Node"},
        "nodes": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
        "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "string", "writeOnly": True}]},
        "codes": {"type": "array", "items": {"type": "string", "writeOnly": True}},
        "more": {"type": "object", "additionalProperties": {"x-secret": True}},
        "match": {"type": "object", "patternProperties": {"^s_": {"x-secret": True}}},
        "one": {"oneOf": [{"$ref": "#/$defs/Node"}, {"type": "integer"}]},
        "a/b~c": {"$ref": "#/$defs/odd~1na~0me"},
    },
    "$defs": {
        "Node": {
            "properties": {
                "inner": {"x-secret": True},
                "next": {"$ref": "#/$defs/Node"},
                "kids": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            }
        },
        "odd/na~me": {"type": "object", "properties": {"inner": {"x-secret": True}}},
    },
}


@pytest.mark.parametrize(
    "arguments",
    [
        {"pin": CANARY},
        {"mark": [CANARY]},
        {"login": CANARY},
        {"maybe": {"deep": CANARY}},
        {"both": CANARY},
        {"node": {"inner": CANARY}},
        {"node": {"next": {"next": {"next": {"inner": CANARY}}}}},
        {"nodes": [{}, {"kids": [{"inner": CANARY}]}]},
        {"pair": [CANARY, CANARY]},
        {"codes": [CANARY, CANARY]},
        {"more": {"anything": CANARY}},
        {"match": {"s_x": CANARY}},
        {"one": {"inner": CANARY}},
        {"a/b~c": {"inner": CANARY}},
        {"unknown": {"deeper": [{"api_key": CANARY}]}},
        {"x": {"Authorization": CANARY, "X-Api-Key": CANARY, "clientSecret": CANARY, "refresh_tokens": [CANARY]}},
        {"note": "x" * MOST_TEXT + CANARY},
        {f"{'k' * 2000}": CANARY},
    ],
)
def test_nothing_secret_is_left(arguments: dict[str, Any]) -> None:
    assert CANARY not in json.dumps(Redaction(SCHEMA)(arguments))


@pytest.mark.parametrize("name", ["pin", "mark", "login", "maybe", "both"])
def test_what_was_hidden_is_seen_to_be(name: str) -> None:
    assert Redaction(SCHEMA)({name: CANARY, "note": "kept"}) == {name: HIDDEN, "note": "kept"}


def test_what_is_no_secret_stays() -> None:
    arguments = {"note": "n", "node": {"next": {"x": 1}}, "nodes": [{"y": None}], "one": 3, "z": [True, 1.5, "t"]}
    assert Redaction(SCHEMA)(arguments) == arguments
    assert Redaction({})(arguments) == arguments


@pytest.mark.parametrize("name", SECRETS)
def test_names_of_secrets(name: str) -> None:
    assert secret_name(name)


@pytest.mark.parametrize("name", NO_SECRETS)
def test_names_of_none(name: str) -> None:
    assert not secret_name(name)


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(NESTED, st.sampled_from(["password", "myToken", "api-key"]), st.lists(st.sampled_from(["d", "l"]), max_size=40))
def test_a_secret_is_hidden_however_deep_it_stands(other: Any, name: str, way: list[str]) -> None:
    value: Any = {name: [CANARY, {"deep": CANARY}], "other": other}
    for step in way:
        value = {"inside": value} if step == "d" else [value, other]
    redacted = Redaction(SCHEMA)({"x": value})
    assert CANARY not in json.dumps(redacted)
    json.dumps(redacted, allow_nan=False)


def test_what_is_huge_is_cut() -> None:
    redaction = Redaction(SCHEMA)
    for arguments in (
        {"text": "x" * 1_000_000},
        {"list": list(range(100_000))},
        {str(number): number for number in range(100_000)},
        {"lists": [[0] * 1000 for _ in range(1000)]},
    ):
        assert len(json.dumps(redaction(arguments))) < 40_000
    assert redaction({"t": "x" * 1_000_000}) != redaction({"t": "x" * 1_000_001})


def entry_of(keys: tuple[str, ...] = (), arguments: Mapping[str, Any] | None = None, **record: Any) -> dict[str, Any]:
    """The entry of one call."""
    found: list[Mapping[str, Any]] = []
    audit = Audit(found.append, {"service": "s"}, keys, {"t": Audited("hash", Redaction({}))})
    audit.call(Record(tool="t", **record), arguments or {})
    return dict(found[0])


def test_digests_are_comparable_where_replicas_share_a_key_and_nowhere_else() -> None:
    first, second = ("k" * 32, "old" * 20), ("k" * 32,)
    account = {"account": 4711}
    assert entry_of(first, account)["arguments"] == entry_of(second, account)["arguments"]
    assert entry_of(first, account)["arguments"] != entry_of(("x" * 32,), account)["arguments"]
    alone = {entry_of((), account)["arguments"] for _ in range(3)}
    assert len(alone) == 3
    assert len({digest.split(":")[1] for digest in alone}) == 3


def test_who_is_a_hash_of_issuer_and_subject() -> None:
    principal = Principal("jwt", "alice@example.com", "https://issuer.test", "client-1")
    entry = entry_of(principal=principal, address="192.0.2.7")
    assert entry["who"] == {
        "kind": "jwt",
        "id": principal.id,
        "issuer": "https://issuer.test",
        "client": "client-1",
        "address": "192.0.2.7",
    }
    assert "alice" not in json.dumps(entry)
    assert principal.id != Principal("jwt", "alice@example.com", "https://other.test").id


def test_what_is_no_json_makes_no_digest_and_no_error() -> None:
    assert entry_of(arguments={"x": object()})["arguments"] == ""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_of(tmp_path_factory.mktemp("audit") / "bundle", KINDS[0])


Serve = Callable[..., Any]


@pytest.fixture
def serve(bundle: Path, tmp_path: Path) -> Serve:
    """Serve the bundle, each time in a place of its own."""

    def start(**config: Any) -> Any:
        place = tmp_path / f"bundle-{len(list(tmp_path.iterdir()))}"
        return watched(shutil.copytree(bundle, place), KINDS[0], config)

    return start


def entries(path: Path) -> list[dict[str, Any]]:
    """What stands in an audit file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def test_a_file_is_appended_to_and_its_owner_s_alone(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "audit.jsonl"
    log = {"audit": {"file": str(path)}}
    for number in range(2):
        with serve(log=log) as server:
            server.call("add", {"a": 1, "password": CANARY}, **{"x-request-id": f"run-{number}"})
            server.line(f"run-{number}", msg="request")
            assert not server.entries()
    assert [entry["request_id"] for entry in entries(path)] == ["run-0", "run-1"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert CANARY not in path.read_text(encoding="utf-8")


def test_a_file_that_was_moved_away_is_begun_anew(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with serve(log={"audit": {"file": str(path)}}) as server:
        server.call("told", {}, **{"x-request-id": "first"})
        wait_for(lambda: entries(path) or None)
        path.rename(tmp_path / "moved.jsonl")
        server.call("told", {}, **{"x-request-id": "second"})
        wait_for(lambda: entries(path) or None)
    assert [entry["request_id"] for entry in entries(path)] == ["second"]
    assert [entry["request_id"] for entry in entries(tmp_path / "moved.jsonl")] == ["first"]


def test_a_full_disk_fails_no_call_and_is_said_once(serve: Serve) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with serve(log={"audit": {"file": "/dev/full"}}) as server:
        for _ in range(3):
            assert server.call("told")["result"]["isError"] is False
        told = wait_for(lambda: [line for line in server.server.lines() if "audit file" in line["msg"]] or None)
    assert len(told) == 1
    assert told[0]["level"] == "error"


def test_a_place_that_cannot_be_written_is_said_at_the_start(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(AssertionError, match=r"the audit file .* cannot be written"),
        serve(log={"audit": {"file": str(tmp_path / "file" / "audit.jsonl")}}),
    ):
        pass


@pytest.fixture
def strict(serve: Serve, tmp_path: Path) -> Iterator[Watched]:
    """A server with a key and a rate of three calls."""
    (tmp_path / "key").write_text("k" * 32, encoding="utf-8")
    settings = {
        "auth": {"mode": "bearer", "keys": [{"file": str(tmp_path / "key")}]},
        "rate": {"calls": 3, "per": 3600.0},
        "concurrency": 50,
    }
    with serve(serve=settings, log={"audit": "stderr"}) as server:
        yield server


def test_refusals_that_say_something_of_the_caller_are_audited(strict: Watched) -> None:
    key = {"authorization": f"Bearer {'k' * 32}"}
    assert strict.status("told", **{"x-request-id": "nobody"}) == 401
    assert strict.status("told", **{"x-request-id": "page", "origin": "https://evil.test"}) == 403
    assert strict.status("told", **{"x-request-id": "elsewhere", "host": "other.test"}) == 421
    for number in range(4):
        strict.status("told", **{"x-request-id": f"rate-{number}"}, **key)
    strict.line("rate-3", msg="request")
    refused = {entry["request_id"]: entry for entry in strict.entries() if entry["decision"] == "refused"}
    assert {name: entry["reason"] for name, entry in refused.items()} == {
        "nobody": "unauthenticated",
        "page": "origin",
        "rate-3": "rate",
    }
    assert refused["nobody"]["who"]["kind"] == "anonymous"
    assert refused["rate-3"]["who"]["kind"] == "bearer"
    assert len(refused["rate-3"]["who"]["id"]) == 12
    allowed = [entry for entry in strict.entries() if entry["decision"] == "allowed"]
    assert [entry["request_id"] for entry in allowed] == ["rate-0", "rate-1", "rate-2"]
    assert "k" * 32 not in strict.server.log.read_text(encoding="utf-8")


def test_a_round_that_asks_is_told_as_one(tmp_path: Path) -> None:
    source = '''
from pydantic import BaseModel

from mcp_tool import Ask, InputRequired, tool


class Sure(BaseModel):
    sure: bool


@tool
def ask() -> str | InputRequired:
    """Ask."""
    return InputRequired({"sure": Ask("Sure?", Sure)})
'''
    bundle = bundle_of(tmp_path / "bundle", type(KINDS[0])("asking", source))
    with watched(bundle, KINDS[0], {"log": {"audit": "stderr"}}) as server:
        params: dict[str, Any] = {"name": "ask", "arguments": {}}
        capable = {**ENVELOPE, "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {**params, "_meta": capable}}
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        headers |= {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "ask"}
        headers |= {"x-request-id": "asking"}
        answer = server.server.request("POST", "/mcp", json.dumps(message).encode(), headers)
        assert b"input_required" in answer[2], answer[2]
        assert server.line("asking", stream="audit")["outcome"] == "asked"
        assert server.line("asking", msg="request")["outcome"] == "asked"


def test_nothing_is_audited_unless_asked_for(serve: Serve) -> None:
    with serve() as server:
        server.call("told", {}, **{"x-request-id": "quiet"})
        server.line("quiet", msg="request")
        assert server.entries() == []

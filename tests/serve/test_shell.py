"""The row of gates, one by one, with nothing behind it but what the test puts there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from mcp_tool.config import Serve
from mcp_tool.principal import Principal
from mcp_tool.record import Record
from mcp_tool.serve.http import shell as gates
from mcp_tool.serve.http.gates import PLATFORM, Headers, Platform, Refusal
from mcp_tool.serve.http.names import Names
from mcp_tool.serve.http.shell import Message, Receive, Scope, Send, Shell
from mcp_tool.wire import MODERN

NAMES = Names.of("127.0.0.1", "https://pub.test/mcp", (), ())
CALL = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call"}


@dataclass
class Inner:
    """Stands where the SDK's application stands; says what it got."""

    scopes: list[Scope] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    go: asyncio.Event | None = None
    error: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        message = await receive()
        self.bodies.append(message["body"])
        if self.go is not None:
            await self.go.wait()
        if self.error is not None:
            raise self.error
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"served"})

    async def reached(self, count: int) -> None:
        """Wait until so many requests have come this far."""
        while len(self.bodies) < count:  # noqa: ASYNC110 - other tasks take a step
            await asyncio.sleep(0)


@dataclass
class Known:
    """Lets in who says a name, with the scopes they say."""

    async def __call__(self, scope: Mapping[str, Any], headers: Headers) -> Principal | Refusal:
        name = headers.get(b"authorization", b"").decode()
        if not name:
            return Refusal(401, "Who are you?", "unauthenticated", headers=((b"www-authenticate", b"Bearer"),))
        return Principal("bearer", name, scopes=frozenset(headers.get(b"x-scopes", b"").decode().split()))

    def metadata(self, scope: Mapping[str, Any], headers: Headers) -> bytes | None:
        return b'{"resource":"here"}' if scope["path"].endswith("/oauth-protected-resource") else None

    def forbidden(self, scope: Mapping[str, Any], headers: Headers, scopes: frozenset[str]) -> Refusal:
        return Refusal(403, f"needs {' '.join(sorted(scopes))}", "forbidden")


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def error(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        assert (document["jsonrpc"], document["id"]) == ("2.0", None)
        found: dict[str, Any] = document["error"]
        return found


@dataclass
class Bench:
    """A shell, what is behind it, and what it says it has seen."""

    shell: Shell
    inner: Inner
    seen: list[Record]

    async def ask(
        self,
        path: str = "/mcp",
        sent: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes | Sequence[bytes | None] = b"{}",
        method: str = "POST",
        platform: Platform | None = None,
    ) -> Answer:
        """One request; of a body in parts, None is a client that leaves."""
        pairs = list(sent.items()) if isinstance(sent, Mapping) else list(sent)
        if not any(name == "host" for name, _ in pairs):
            pairs.append(("host", "localhost"))
        parts = [body] if isinstance(body, bytes) else list(body)
        answer, left = Answer(), list(parts)

        async def receive() -> Message:
            if not left:
                await asyncio.Event().wait()
            part = left.pop(0)
            if part is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": part, "more_body": bool(left) or (len(parts) > 1 and part != b"")}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                assert not answer.status
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answer.body += message.get("body", b"")

        whole: Scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "scheme": "http",
            "client": ("127.0.0.1", 4711),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in pairs],
        }
        if platform is not None:
            whole[PLATFORM] = platform
        await self.shell(whole, receive, send)
        return answer


def bench(settings: Mapping[str, Any] | None = None, **made: Any) -> Bench:
    inner, seen = Inner(), list[Record]()
    shell = Shell(inner, Serve.model_validate(settings or {}), NAMES, seen=seen.append, ready=True, **made)
    return Bench(shell, inner, seen)


def known(scopes: Mapping[str, frozenset[str]] | None = None, **settings: Any) -> Bench:
    return bench(settings, authenticate=Known(), scopes=scopes or {})


class TestOrder:
    """The first gate that has something against a request answers it, and no later one hears of it."""

    @pytest.mark.parametrize(
        ("path", "method", "sent", "status", "reason"),
        [
            ("/mcp", "GET", {"host": "evil.test"}, 421, "host"),
            ("/mcp", "GET", {"origin": "https://evil.test"}, 403, "origin"),
            ("/mcp", "GET", {}, 405, "method"),
            ("/mcp/", "DELETE", {}, 405, "method"),
            ("/mcp", "POST", {"content-length": "99999999"}, 401, "unauthenticated"),
            ("/mcp", "POST", {"authorization": "me", **CALL, "mcp-name": "deep"}, 403, "forbidden"),
            ("/mcp", "POST", {"authorization": "me", "content-length": "99999999"}, 413, "too_large"),
            ("/elsewhere", "GET", {}, 401, "unauthenticated"),
        ],
    )
    def test_order(self, path: str, method: str, sent: dict[str, str], status: int, reason: str) -> None:
        made = known({"deep": frozenset({"dig"})})
        answer = asyncio.run(made.ask(path, sent, method=method))
        assert answer.status == status
        assert answer.error["code"] == -32600
        assert made.inner.bodies == []
        (record,) = made.seen
        assert (record.status, record.refused, record.outcome) == (status, reason, "refused")

    def test_metadata_needs_no_key_and_no_name_but_the_hosts(self) -> None:
        made = known()
        where = "/.well-known/oauth-protected-resource"
        assert asyncio.run(made.ask(where, method="GET")).body == b'{"resource":"here"}'
        assert asyncio.run(made.ask(where, method="POST")).status == 405
        assert asyncio.run(made.ask(where, {"host": "evil.test"}, method="GET")).status == 421
        assert asyncio.run(made.ask("/.well-known/other", method="GET")).status == 401

    def test_health_is_asked_nothing_and_told_to_nobody(self) -> None:
        made = known()
        for path in ("/healthz", "/readyz"):
            assert asyncio.run(made.ask(path, {"host": "10.0.0.9"}, method="GET")).status == 200
        assert made.seen == []

    def test_both_spellings_reach_the_inside_as_one(self) -> None:
        made = bench({"path": "/deep/mcp"})
        for path in ("/deep/mcp", "/deep/mcp/", "/deep/mcp//"):
            assert asyncio.run(made.ask(path)).body == b"served"
        assert {(scope["path"], scope["raw_path"]) for scope in made.inner.scopes} == {("/deep/mcp", b"/deep/mcp")}


class TestHeaders:
    """What is in a request's head."""

    @pytest.mark.parametrize("name", ["host", "origin", "authorization", "content-length"])
    def test_a_header_that_decides_comes_once(self, name: str) -> None:
        made = known()
        twice = [(name, "localhost"), (name, "localhost")]
        assert asyncio.run(made.ask(sent=twice)).status == 400
        assert asyncio.run(made.ask(sent=[("accept", "a"), ("accept", "b"), ("authorization", "me")])).status == 200

    def test_two_ways_to_tell_the_length_are_one_too_many(self) -> None:
        answer = asyncio.run(bench().ask(sent={"content-length": "2", "transfer-encoding": "chunked"}))
        assert (answer.status, answer.headers["connection"]) == (400, "close")

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("abc-123", True),
            (" 8f14e45f/1:2@3+4=5.6_7 ", True),
            ("x" * 128, True),
            ("x" * 129, False),
            ("", False),
            ("a b", False),
            ('a"b', False),
            ("a\u00e9", False),
            ("a\x7f", False),
        ],
    )
    def test_a_request_id_is_taken_when_it_is_sane(self, given: str, kept: bool) -> None:
        made = bench()
        answer = asyncio.run(made.ask(sent={"x-request-id": given}))
        told = answer.headers["x-request-id"]
        assert told == made.seen[0].request_id
        assert (told == given.strip()) is kept
        assert 0 < len(told) <= 128

    def test_made_ids_differ(self) -> None:
        made = bench()
        ids = {asyncio.run(made.ask()).headers["x-request-id"] for _ in range(100)}
        assert len(ids) == 100
        assert ids.isdisjoint(asyncio.run(bench().ask()).headers["x-request-id"] for _ in range(100))

    def test_refusals_carry_it_too(self) -> None:
        assert asyncio.run(bench().ask(sent={"host": "evil", "x-request-id": "mine"})).headers["x-request-id"] == "mine"

    def test_a_trace_and_the_routing_headers_are_noted_within_bounds(self) -> None:
        made = bench()
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        asyncio.run(made.ask(sent={"traceparent": trace, **CALL}))
        asyncio.run(made.ask(sent={"traceparent": "nonsense", "mcp-method": "x" * 5000}))
        first, second = made.seen
        assert (first.trace_id, first.span_id) == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
        assert (first.method, first.protocol, first.outcome) == ("tools/call", MODERN, "ok")
        assert (second.trace_id, len(second.method)) == ("", 128)


class TestScopes:
    """Of the tool that a request names."""

    SCOPES: ClassVar = {"deep": frozenset({"dig", "see"}), "flat": frozenset[str]()}

    def ask(self, head: Mapping[str, str], body: object, scopes: str = "see") -> int:
        made = known(self.SCOPES)
        sent = {"authorization": "me", "x-scopes": scopes, **head}
        return asyncio.run(made.ask(sent=sent, body=json.dumps(body).encode())).status

    def test_of_the_newer_era_by_the_header(self) -> None:
        assert self.ask({**CALL, "mcp-name": "deep"}, {}) == 403
        assert self.ask({**CALL, "mcp-name": "deep"}, {}, "dig see more") == 200
        assert self.ask({**CALL, "mcp-name": "flat"}, {}) == 200
        assert self.ask({**CALL, "mcp-name": "=?base64?ZGVlcA==?="}, {}) == 403
        assert self.ask({**CALL, "mcp-method": "tools/list"}, {}) == 200

    def test_of_the_older_eras_by_the_body_whatever_the_headers_say(self) -> None:
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "deep"}}
        for head in (
            {},
            {"mcp-protocol-version": "2025-11-25"},
            {"mcp-method": "tools/list"},
            {**CALL, "mcp-protocol-version": "2025-11-25", "mcp-name": "flat"},
            {**CALL, "mcp-protocol-version": "2099-01-01", "mcp-name": "flat"},
        ):
            assert self.ask(head, call) == 403, head
            assert self.ask(head, [call]) == 403, head
            assert self.ask(head, call, "dig see") == 200, head
        assert self.ask({}, {**call, "params": {"name": "flat"}}) == 200
        odds: tuple[object, ...] = ([], {}, None, 1, {**call, "params": None}, {**call, "method": []})
        for odd in odds:
            assert self.ask({}, odd) == 200

    def test_the_deploys_own_look_may_look_at_all(self) -> None:
        assert Principal("probe").may(frozenset({"dig"}))


class TestRoom:
    """Size, time and number."""

    def test_a_body_that_does_not_come_is_not_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gates, "BODY", 0.02)

        async def story() -> None:
            made = bench({"concurrency": 1})
            slow = asyncio.create_task(made.ask(body=[b"{", b"}"]))  # the last part says that there is more
            answer = await slow
            assert (answer.status, answer.headers["connection"]) == (408, "close")
            assert made.shell.in_flight == 0
            assert made.seen[0].refused == "too_slow"

        asyncio.run(story())

    def test_a_client_that_leaves_is_gone_and_nothing_is_asked_of_the_inside(self) -> None:
        made = bench()
        assert asyncio.run(made.ask(body=[b"{", None])).status == 0
        assert (made.seen[0].outcome, made.inner.bodies, made.shell.in_flight) == ("gone", [], 0)

    def test_parts_are_put_together_up_to_the_limit(self) -> None:
        made = bench({"max_body": 10})
        assert asyncio.run(made.ask(body=[b"12345", b"67890", b""])).status == 200
        assert made.inner.bodies == [b"1234567890"]
        assert asyncio.run(made.ask(body=[b"12345", b"67890", b"1", b""])).status == 413
        assert asyncio.run(made.ask(body=b"12345678901")).status == 413

    def test_only_so_many_at_once_and_listening_is_no_way_around(self) -> None:
        listen = {"mcp-protocol-version": MODERN, "mcp-method": "subscriptions/listen"}

        async def story() -> None:
            made = bench({"concurrency": 2})
            made.inner.go = asyncio.Event()
            held = [asyncio.create_task(made.ask()) for _ in range(2)]
            await made.inner.reached(2)
            busy = await made.ask(sent={"mcp-method": "subscriptions/listen"})  # an older caller that says so
            assert (busy.status, busy.headers["retry-after"], busy.error["code"]) == (503, "1", -32000)
            streams = [asyncio.create_task(made.ask(sent=listen)) for _ in range(2 * gates.LISTENERS)]
            await made.inner.reached(2 + 2 * gates.LISTENERS)
            assert (await made.ask(sent=listen)).status == 503
            made.inner.go.set()
            assert {answer.status for answer in await asyncio.gather(*held, *streams)} == {200}
            assert (await made.ask()).status == 200
            assert made.shell.in_flight == 0

        asyncio.run(story())

    def test_a_crash_behind_is_an_answer_without_its_words(self) -> None:
        made = bench()
        made.inner.error = RuntimeError("hunter2")
        answer = asyncio.run(made.ask())
        assert (answer.status, answer.error) == (500, {"code": -32603, "message": "Internal error"})
        assert b"hunter2" not in answer.body
        assert (made.seen[0].outcome, made.shell.in_flight) == ("failed", 0)


class TestLife:
    """Ready, then not, then gone."""

    def test_from_the_stop_on_connections_are_told_to_close_and_then_refused(self) -> None:
        made = bench()
        assert "connection" not in asyncio.run(made.ask()).headers
        made.shell.ready = False
        answer = asyncio.run(made.ask())
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        made.shell.draining, made.shell.unready = True, "draining"
        answer = asyncio.run(made.ask())
        assert (answer.status, answer.headers["connection"], answer.headers["retry-after"]) == (503, "close", "1")
        assert made.seen[-1].refused == "draining"
        assert asyncio.run(made.ask("/healthz", method="GET")).status == 200
        told = asyncio.run(made.ask("/readyz", method="GET"))
        assert (told.status, json.loads(told.body)["reasons"]) == (503, ["draining"])


def test_a_connection_that_the_client_has_reset_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """What uvloop raises then, as its `UVHandle._ensure_alive` words it."""

    async def send(message: Message) -> None:
        raise RuntimeError(
            f"unable to perform operation on <TCPTransport> for {message['type']}; the handler is closed"
        )

    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    made = bench()
    head = [(b"host", b"localhost")]
    scope: Scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": head, "client": None}
    asyncio.run(made.shell(scope, receive, send))
    assert made.seen[0].outcome == "gone"
    assert caplog.records == []

"""The deploy's own token, and an endpoint that asks for one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from mcp_packager.errors import WorldError
from mcp_packager.pipeline.place import verified
from mcp_packager.target import Auth, Call, Endpoint, Identity, Intent, Via
from mcp_packager.verify import ServedOtherwiseError, UnreachableError, probe_token, verify
from tests.engine import fake
from tests.verify.conftest import Answer, as_json, stub

KEY = bytes(range(32))
NOW = 1_800_000_000.9


def claims(token: str) -> dict[str, Any]:
    """What a token says, its signature checked by hand: the form that the runtime reads is frozen here."""
    head, payload, signature = token.split(".")
    assert head == "mcp-pack-probe"
    assert "=" not in token
    wanted = hmac.new(KEY.hex().encode(), f"mcp-pack-probe.{payload}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == wanted
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return read


def test_a_token_says_for_whom_and_how_long() -> None:
    token = probe_token(KEY, Identity("shop", "till", "prod").audience, now=NOW)
    assert claims(token) == {"aud": "shop/till/prod", "exp": 1_800_000_120, "iat": 1_800_000_000}


def test_the_known_answer() -> None:
    """The same as in `tests/serve/test_auth_keys.py`, where a server takes it."""
    assert probe_token(KEY, "shop/till/prod", now=1_800_000_000) == (
        "mcp-pack-probe.eyJhdWQiOiJzaG9wL3RpbGwvcHJvZCIsImV4cCI6MTgwMDAwMDEyMCwiaWF0IjoxODAwMDAwMDAwfQ"
        ".NemgjVbZm5Q7uLOvyu7h2akzkGSybrWmLtjFaud_D8Q"
    )


def guarded(seen: list[str], *, open_to: frozenset[str] = frozenset(), status: int = 401) -> Any:
    """A server with one tool that lets in whoever shows a probe token, and those headers in ``open_to``."""

    def answer(_: str, __: str, headers: dict[str, str], body: bytes) -> Answer:
        shown = headers.get("authorization", "")
        seen.append(shown)
        if not shown.startswith("Bearer mcp-pack-probe.") and shown not in open_to:
            return status, {"www-authenticate": "Bearer"}, b""
        message = json.loads(body)
        match message["method"]:
            case "initialize":
                result: dict[str, Any] = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {}}
            case "tools/list":
                result = {"tools": [{"name": "a", "inputSchema": {}}]}
            case "tools/call":
                result = {"content": [{"type": "text", "text": "done"}]}
            case _:
                result = {"resources": [], "resourceTemplates": [], "prompts": []}
        return as_json({"jsonrpc": "2.0", "id": message.get("id"), "result": result})

    return answer


CONTRACT = {"hash": "0" * 64, "tools": [{"definition": {"name": "a", "inputSchema": {}}}]}


class World(fake.FakeWorld):
    """A fake world that keeps a key, and may know a way inside."""

    key: bytes | None = KEY
    way: str | None = None
    opened: int = 0

    def probe_key(self) -> bytes | None:
        return self.key

    def inside(self, endpoint: Endpoint) -> AbstractContextManager[Endpoint] | None:
        return None if self.way is None else self._open(endpoint)

    @contextmanager
    def _open(self, endpoint: Endpoint) -> Iterator[Endpoint]:
        self.opened += 1
        try:
            yield replace(endpoint, url=self.way, via=Via.CLUSTER)
        finally:
            self.opened -= 1


def wanted(**changes: Any) -> Intent:
    return replace(fake.intent("1"), contract=CONTRACT, calls=(Call("a"), Call("a", contains="done")), **changes)


def test_a_deploy_shows_a_token_of_its_own_with_each_request_and_a_stranger_is_refused() -> None:
    seen: list[str] = []
    with stub(guarded(seen)) as url:
        found = verified(World(fake.Cloud()))(Endpoint(url=f"{url}/mcp", auth=Auth.BEARER), wanted())
    assert found.checked[0] == "a caller without a token is refused (401)"
    assert "call a answered as expected" in found.checked
    assert found.unverified == ()
    stranger, *ours = seen
    assert stranger == ""
    for shown in ours:
        assert claims(shown.removeprefix("Bearer "))["aud"] == "shop/till/default"


def test_who_lets_strangers_in_is_not_what_was_wanted() -> None:
    with (
        stub(guarded([], open_to=frozenset({""}))) as url,
        pytest.raises(ServedOtherwiseError, match="answers a caller who shows no token"),
    ):
        verified(World(fake.Cloud()))(Endpoint(url=f"{url}/mcp", auth=Auth.OIDC), wanted())


def test_another_refusal_is_none_that_was_wanted() -> None:
    with stub(guarded([], status=503)) as url, pytest.raises(WorldError, match="too busy"):
        verified(World(fake.Cloud()))(Endpoint(url=f"{url}/mcp", auth=Auth.BEARER), wanted())


@pytest.mark.parametrize("world", [fake.FakeWorld(fake.Cloud()), World(fake.Cloud())])
def test_without_a_key_it_says_what_stays_unverified(world: fake.FakeWorld) -> None:
    if isinstance(world, World):
        world.key = None
    with stub(guarded([])) as url:
        found = verified(world)(Endpoint(url=f"{url}/mcp", auth=Auth.JWT), wanted())
    assert found.checked == ("a caller without a token is refused (401)",)
    assert found.unverified == ("contract and calls: the endpoint asks for a token, and the deploy has none",)


def test_an_open_endpoint_gets_no_token() -> None:
    seen: list[str] = []
    with stub(guarded(seen, open_to=frozenset({""}))) as url:
        verified(World(fake.Cloud()))(Endpoint(url=f"{url}/mcp"), wanted())
    assert set(seen) == {""}


def test_no_error_holds_a_token() -> None:
    shown: list[str] = []

    def mirror(_: str, __: str, headers: dict[str, str], ___: bytes) -> Answer:
        shown.append(headers.get("authorization", ""))
        return 500 if shown[-1] else 401, {"x": shown[-1]}, b"no"

    with stub(mirror) as url, pytest.raises(WorldError) as caught:
        verify(Endpoint(url=f"{url}/mcp", auth=Auth.BEARER), CONTRACT, token=lambda: probe_token(KEY, "a/b/c"))
    assert shown[-1].startswith("Bearer mcp-pack-probe.")
    assert "mcp-pack-probe" not in f"{caught.value}{caught.value!r}"


NOWHERE = "http://127.0.0.1:9/mcp"


def test_what_cannot_be_reached_from_here_is_looked_at_from_inside() -> None:
    world = World(fake.Cloud())
    with stub(guarded([])) as url:
        world.way = f"{url}/mcp"
        found = verified(world)(Endpoint(url=NOWHERE, auth=Auth.BEARER), wanted())
    assert found.checked[:2] == ("looked at from inside (cluster)", "a caller without a token is refused (401)")
    assert found.unverified == (f"{NOWHERE} from outside: nothing listens at {NOWHERE}",)
    assert world.opened == 0


def test_where_there_is_no_way_inside_unreachable_is_a_failure() -> None:
    for world in (World(fake.Cloud()), fake.FakeWorld(fake.Cloud())):
        with pytest.raises(UnreachableError):
            verified(world)(Endpoint(url=NOWHERE), wanted())


def test_the_manifest_decides_which_way() -> None:
    world = World(fake.Cloud())
    with stub(guarded([], open_to=frozenset({""}))) as url:
        world.way = f"{url}/mcp"
        found = verified(world)(Endpoint(url=f"{url}/elsewhere"), wanted(via=Via.CLUSTER))
        assert found.unverified == (f"{url}/elsewhere from outside: it is looked at by cluster, as [verify] via says",)
        with pytest.raises(UnreachableError):
            verified(world)(Endpoint(url=NOWHERE), wanted(via=Via.PUBLIC))


def test_an_intent_keeps_the_way_it_is_looked_at() -> None:
    assert "via" not in wanted().as_json()
    assert Intent.from_json(wanted(via=Via.INVOKE).as_json()).via is Via.INVOKE

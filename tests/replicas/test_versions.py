"""Every version of the protocol on one address, without sessions."""

from __future__ import annotations

import asyncio

import pytest
from mcp import Client
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from tests.replicas.fleet import UPSTREAM, Fleet, call
from tests.serve.process import MODERN

pytestmark = [pytest.mark.real("nginx", "redis"), pytest.mark.xdist_group("replicas")]


def test_these_are_the_versions() -> None:
    assert [*HANDSHAKE_PROTOCOL_VERSIONS] == ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
    assert [*MODERN_PROTOCOL_VERSIONS] == [MODERN]


@pytest.mark.parametrize("version", HANDSHAKE_PROTOCOL_VERSIONS)
def test_an_older_client_gets_its_version_from_every_replica(three: Fleet, version: str) -> None:
    hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    met = set()
    for _ in three.replicas:
        answer, headers = three.front.ask(version, "initialize", hello)
        assert answer["result"]["protocolVersion"] == version
        assert "mcp-session-id" not in headers
        # The greeting went to one replica; what follows goes to another, which never saw it.
        answer, headers = three.front.ask(version, "tools/call", call("test_simple_text"))
        assert answer["result"]["content"][0]["text"].startswith("This is a simple text")
        met.add(headers[UPSTREAM])
    assert len(met) == 3


def test_a_newer_client_asks_once_and_calls_everywhere(three: Fleet) -> None:
    async def use() -> set[str]:
        async with Client(three.front.url) as client:
            assert client.protocol_version == MODERN
            texts = [await client.call_tool("test_simple_text", {}) for _ in range(6)]
        return {str(found.model_dump()["content"][0]["text"]) for found in texts}

    assert asyncio.run(use()) == {"This is a simple text response for testing."}


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_there_are_no_sessions_to_open_or_end(three: Fleet, method: str, path: str) -> None:
    status, headers, _ = three.front.send(method, path, headers={"accept": "text/event-stream"})
    assert (status, headers["allow"]) == (405, "POST")

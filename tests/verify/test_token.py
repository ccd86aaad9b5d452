from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs

import pytest

from mcp_packager.errors import WorldError
from mcp_packager.verify import ClientCredentials, fetch_token
from tests.verify.conftest import Answer, as_json, stub

WHO = ClientCredentials("id:1", "s3cret/ü", scopes=("read", "write"))


class Issuer:
    """A protected endpoint and its authorization server on one port."""

    def __init__(self, *, challenge: bool = True, metadata: str = "oauth-authorization-server") -> None:
        self.root = ""
        self.challenge = challenge
        self.metadata = metadata
        self.asked: list[dict[str, Any]] = []
        self.answer: Answer = as_json({"access_token": "t0ken", "token_type": "Bearer"})

    def __call__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if path == "/mcp":
            place = f'Bearer resource_metadata="{self.root}/hidden/prm"' if self.challenge else "Bearer"
            return 401, {"www-authenticate": place}, b""
        if path == ("/hidden/prm" if self.challenge else "/.well-known/oauth-protected-resource/mcp"):
            return as_json({"resource": f"{self.root}/mcp", "authorization_servers": [f"{self.root}/tenant"]})
        if path in {f"/.well-known/{self.metadata}/tenant", f"/tenant/.well-known/{self.metadata}"}:
            return as_json({"issuer": f"{self.root}/tenant", "token_endpoint": f"{self.root}/token"})
        if path == "/token" and method == "POST":
            self.asked.append({"authorization": headers["authorization"], **parse_qs(body.decode())})
            return self.answer
        return 404, {}, b""


@pytest.mark.parametrize("challenge", [True, False])
@pytest.mark.parametrize("metadata", ["oauth-authorization-server", "openid-configuration"])
def test_finds_where_tokens_are_had(challenge: bool, metadata: str) -> None:
    issuer = Issuer(challenge=challenge, metadata=metadata)
    with stub(issuer) as issuer.root:
        assert fetch_token(f"{issuer.root}/mcp", WHO) == "t0ken"
    (asked,) = issuer.asked
    assert base64.b64decode(asked["authorization"].split()[1]) == b"id%3A1:s3cret%2F%C3%BC"
    assert asked["grant_type"] == ["client_credentials"]
    assert asked["scope"] == ["read write"]
    assert asked["resource"] == [f"{issuer.root}/mcp"]


def test_goes_where_it_is_told() -> None:
    issuer = Issuer()
    with stub(issuer) as issuer.root:
        who = ClientCredentials("id", "secret", token_url=f"{issuer.root}/token")
        assert fetch_token("https://elsewhere.example/mcp", who) == "t0ken"


def test_a_refusal_says_why_and_shows_no_secret() -> None:
    issuer = Issuer()
    issuer.answer = as_json({"error": "invalid_client", "error_description": "who are you"}, 401)
    with stub(issuer) as issuer.root, pytest.raises(WorldError, match="who are you") as caught:
        fetch_token(f"{issuer.root}/mcp", WHO)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(WHO)


def test_credentials_do_not_cross_a_network_in_the_clear() -> None:
    who = ClientCredentials("id", "secret", token_url="http://issuer.example/token")
    with pytest.raises(WorldError, match="not encrypted"):
        fetch_token("https://elsewhere.example/mcp", who)


def test_an_endpoint_that_does_not_say() -> None:
    with stub(lambda *_: as_json({})) as url, pytest.raises(WorldError, match="where tokens are had"):
        fetch_token(f"{url}/mcp", WHO)

"""Who we are at a registry: Docker's settings, helpers, a registry that asks, and what it says when it was wrong."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from mcp_packager.errors import UserError, WorldError
from mcp_packager.image import Registry, digest_of, parse
from mcp_packager.image.credentials import Credentials, credentials_for
from mcp_packager.image.reference import Reference
from tests.image.bundles import push_base
from tests.image.registries import registry, token_front
from tests.lock.certificates import authority

CORP = Reference("registry.corp", "team/tool")
_HTPASSWD = "person:$2b$04$9pbpJcJRsOcv4aVp1E39uel1r8ZmJOaVTUrvAz4.Ymr/plIMC8EEa\n"
"""bcrypt of `secret-word`: the one hash that the registry takes."""


def docker(folder: Path, document: object) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return {**os.environ, "DOCKER_CONFIG": str(folder), "PATH": f"{folder}:{os.environ['PATH']}"}


def helper(folder: Path, name: str, script: str) -> None:
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def encoded(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"auths": {"registry.corp": {"auth": encoded("me", "a:b")}}}, Credentials("me", "a:b")),
        ({"auths": {"https://registry.corp": {"username": "me", "password": "p"}}}, Credentials("me", "p")),
        ({"auths": {"registry.corp": {"identitytoken": "t"}}}, Credentials(identity_token="t")),
        ({"auths": {"other": {"auth": encoded("me", "p")}}}, None),
        ({"auths": {"registry.corp": {}}}, None),
        ({}, None),
    ],
)
def test_what_stands_in_the_settings(tmp_path: Path, document: object, found: Credentials | None) -> None:
    assert credentials_for(CORP, docker(tmp_path, document)) == found


def test_the_hub_has_names_of_its_own(tmp_path: Path) -> None:
    environ = docker(tmp_path, {"auths": {"https://index.docker.io/v1/": {"auth": encoded("me", "p")}}})
    assert credentials_for(parse("python"), environ) == Credentials("me", "p")


def test_a_helper_goes_before_what_stands_there(tmp_path: Path) -> None:
    document = {"credHelpers": {"registry.corp": "one"}, "auths": {"registry.corp": {"auth": encoded("me", "p")}}}
    environ = docker(tmp_path, document)
    helper(tmp_path, "one", 'read name; echo "{\\"Username\\":\\"$name\\",\\"Secret\\":\\"s\\"}"')
    assert credentials_for(CORP, environ) == Credentials("registry.corp", "s")


def test_a_helper_may_give_a_token_or_know_nothing(tmp_path: Path) -> None:
    environ = docker(tmp_path, {"credsStore": "all"})
    helper(tmp_path, "all", 'echo "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"s\\"}"')
    assert credentials_for(CORP, environ) == Credentials(identity_token="s")
    helper(tmp_path, "all", "echo credentials not found in native keychain; exit 1")
    assert credentials_for(CORP, environ) is None


@pytest.mark.parametrize(
    ("document", "script", "said"),
    [
        ("{", None, "not Docker's settings"),
        ("[]", None, "not Docker's settings"),
        ({"auths": {"registry.corp": {"auth": "%%%"}}}, None, "damaged credentials"),
        ({"credsStore": "gone"}, None, "docker-credential-gone"),
        ({"credsStore": "bad"}, "echo the keyring is locked >&2; exit 1", "the keyring is locked"),
        ({"credsStore": "bad"}, "echo nonsense", "something else than credentials"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, document: object, script: str | None, said: str) -> None:
    environ = docker(tmp_path, document)
    if script:
        helper(tmp_path, "bad", script)
    with pytest.raises(UserError, match=said) as caught:
        credentials_for(CORP, environ)
    assert caught.value.problems[0].fix


def test_no_secret_shows() -> None:
    assert "hunter2" not in repr(Credentials("me", "hunter2", "hunter2"))


@mock_aws
def test_a_registry_of_aws_is_asked_of_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    ecr = Reference("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "tool")
    found = credentials_for(ecr, docker(tmp_path, {}))
    assert found is not None
    assert found.user == "AWS"
    assert found.password


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    """A registry with TLS that asks for a password."""
    users = tmp_path / "users"
    users.write_text(_HTPASSWD)
    authority(tmp_path)
    certificate = str(tmp_path / "server.pem")
    tls = {"tls": {"certificate": certificate, "key": certificate}}
    auth = {"htpasswd": {"realm": "test", "path": str(users)}}
    with registry(tmp_path / "registry", http_settings=tls, auth=auth) as address:
        yield address


@pytest.mark.real("docker-registry")
def test_a_registry_that_asks_for_a_password(guarded: str, tmp_path: Path) -> None:
    name = parse(f"{guarded}/team/base:1")
    right = docker(tmp_path / "right", {"auths": {guarded: {"auth": encoded("person", "secret-word")}}})
    push_base(Registry(name, environ=right), "1", ("amd64",))
    assert digest_of(name, environ=right).startswith("sha256:")
    wrong = docker(tmp_path / "wrong", {"auths": {guarded: {"auth": encoded("person", "hunter2")}}})
    with pytest.raises(UserError, match="does not let 'person' pull from team/base") as caught:
        digest_of(name, environ=wrong)
    assert "docker login" in caught.value.problems[0].fix
    assert "hunter2" not in str(caught.value)
    with pytest.raises(UserError, match="does not let anybody push to team/base"):
        push_base(Registry(name, environ=docker(tmp_path / "none", {})), "1", ("amd64",))


@pytest.mark.real("docker-registry")
def test_beyond_loopback_the_certificate_counts(guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = docker(tmp_path / "right", {"auths": {guarded: {"auth": encoded("person", "secret-word")}}})
    name = parse(f"{guarded}/team/base:1")
    push_base(Registry(name, environ=environ), "1", ("amd64",))
    monkeypatch.setattr("mcp_packager.image.transport.on_loopback", lambda _: False)
    monkeypatch.setattr("mcp_packager.image.transport._TRIES", 1)
    with pytest.raises(WorldError, match="certificate"):
        digest_of(name, environ=environ)
    trusting = {**environ, "SSL_CERT_FILE": str(tmp_path / "authority.pem")}
    assert digest_of(name, environ=trusting).startswith("sha256:")
    # Anybody's own settings of proxies are honoured there; here they lead nowhere.
    with pytest.raises(WorldError, match="cannot be reached"):
        digest_of(name, environ={**trusting, "HTTPS_PROXY": "http://127.0.0.1:1"})


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """A registry whose front wants a token of a realm; what was asked of the realm, and what was shown to the front."""
    asked: list[str] = []
    shown: list[str] = []
    with registry(tmp_path / "registry") as address, token_front(address, asked, shown) as front:
        yield front, asked, shown


@pytest.mark.real("docker-registry")
def test_a_registry_that_wants_a_token(tokens: tuple[str, list[str], list[str]], tmp_path: Path) -> None:
    front, asked, shown = tokens
    environ = docker(tmp_path / "right", {"auths": {front: {"auth": encoded("person", "secret-word")}}})
    push_base(Registry(parse(f"{front}/team/base:1"), environ=environ), "1", ("amd64",))
    assert len(asked) == 1, "one token serves all requests of one scope"
    assert "scope=repository%3Ateam%2Fbase%3Apull%2Cpush" in asked[0]
    assert set(shown) == {"Bearer made-for-person"}
    with pytest.raises(UserError, match="does not let anybody"):
        digest_of(parse(f"{front}/team/base:1"), environ=docker(tmp_path / "none", {}))

"""Names of images, as Docker reads them, and where a mirror has them."""

from __future__ import annotations

import pytest

from mcp_packager.errors import UserError
from mcp_packager.image import Reference, mirrored, parse

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("python", "docker.io/library/python"),
        ("python:3.13-slim", "docker.io/library/python:3.13-slim"),
        (f"python@{DIGEST}", f"docker.io/library/python@{DIGEST}"),
        ("me/tool:1", "docker.io/me/tool:1"),
        ("index.docker.io/me/tool", "docker.io/me/tool"),
        ("localhost/x", "localhost/x"),
        ("127.0.0.1:5000/a/b:c", "127.0.0.1:5000/a/b:c"),
        ("[::1]:5000/a", "[::1]:5000/a"),
        (f"ghcr.io/a/b__c/d-e.f:1.0@{DIGEST}", f"ghcr.io/a/b__c/d-e.f:1.0@{DIGEST}"),
    ],
)
def test_read_as_docker_does(text: str, full: str) -> None:
    assert str(parse(text)) == full


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Python",
        "a//b",
        "a:",
        "a@",
        "a@sha256:12",
        "a b",
        "a\nb",
        "-a",
        "http://x/y",
        "x/y:" + "t" * 129,
        "a:b/c:d",
        "x.y/" + "z" * 256,
        "a..b",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text, key="base")
    assert "base" in str(caught.value)


ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("setting", "name", "place"),
    [
        ("", "python:3", "docker.io/library/python:3"),
        ("mirror.test:5000", "python:3", "mirror.test:5000/library/python:3"),
        ("mirror.test/hub", f"{ECR}/team/tool@{DIGEST}", f"mirror.test/hub/team/tool@{DIGEST}"),
        ("mirror.test", "registry.corp/team/tool:1", "registry.corp/team/tool:1"),
        ("registry.corp=m.test/c, docker.io=m.test/hub", "registry.corp/t:1", "m.test/c/t:1"),
        ("registry.corp=m.test/c, docker.io=m.test/hub", "python:3", "m.test/hub/library/python:3"),
        ("registry.corp=m.test/c", "python:3", "docker.io/library/python:3"),
    ],
)
def test_a_mirror_serves_public_names_and_those_it_is_told(setting: str, name: str, place: str) -> None:
    assert str(mirrored(parse(name), {"MCP_PACK_REGISTRY_MIRROR": setting})) == place


def test_a_mirror_that_is_none_is_a_problem() -> None:
    with pytest.raises(UserError, match="MCP_PACK_REGISTRY_MIRROR"):
        mirrored(parse("python"), {"MCP_PACK_REGISTRY_MIRROR": "https://mirror"})


def test_ecr_is_known_by_its_name() -> None:
    assert Reference(ECR, "a").is_ecr
    assert not Reference("public.ecr.aws", "a").is_ecr

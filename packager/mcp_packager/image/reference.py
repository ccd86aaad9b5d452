"""Names of images: ``[registry/]repository[:tag][@sha256:…]``, as the distribution project defines them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from mcp_packager.errors import Problem, UserError

HUB: Final = "docker.io"
MIRROR: Final = "MCP_PACK_REGISTRY_MIRROR"

# https://github.com/distribution/reference/blob/v0.6.0/regexp.go
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_HOST = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])"
    r"(?::[0-9]{1,5})?"
)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}")
_LONGEST = 255
_ECR = re.compile(r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True, slots=True)
class Reference:
    """An image in a registry. ``registry`` is a host with its port; ``digest`` is ``sha256:…``."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"

    @property
    def wanted(self) -> str:
        """What to ask the registry for: the digest, else the tag."""
        return self.digest or self.tag or "latest"

    @property
    def is_ecr(self) -> bool:
        """Whether the registry is a private one of Amazon's."""
        return _ECR.fullmatch(self.registry) is not None

    @property
    def untagged(self) -> Reference:
        """The same image without its tag."""
        return replace(self, tag=None)

    def at(self, digest: str) -> Reference:
        """The same image by digest."""
        return replace(self, digest=digest)


def parse(text: str, *, key: str = "image") -> Reference:
    """Read a name as Docker does: without a registry it is Docker Hub's, without a folder there it is ``library/``.

    Raises:
        UserError: it is no image name; ``key`` says what it was to be.
    """
    rest, _, digest = text.partition("@")
    head, slash, tail = rest.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        registry, rest = head, tail
    else:
        registry = HUB
    repository, _, tag = rest.partition(":")
    if registry in {HUB, "index.docker.io"}:
        registry, repository = HUB, repository if "/" in repository else f"library/{repository}"
    right = (
        _HOST.fullmatch(registry)
        and _REPOSITORY.fullmatch(repository)
        and len(repository) <= _LONGEST
        and (_TAG.fullmatch(tag) if ":" in rest else True)
        and (_DIGEST.fullmatch(digest) if "@" in text else True)
    )
    if not right:
        raise UserError(
            Problem(
                f"{key} {text!r} is not the name of an image",
                "write [registry/]repository[:tag][@sha256:…], in lower case",
            )
        )
    return Reference(registry, repository, tag or None, digest or None)


def mirrored(reference: Reference, environ: Mapping[str, str] = os.environ) -> Reference:
    """Where an image is really asked for: public registries and ECR may be served from elsewhere.

    ``MCP_PACK_REGISTRY_MIRROR`` is ``host[:port][/folder]`` for Docker Hub, ``public.ecr.aws``, ``ghcr.io``,
    ``quay.io`` and ECR alike, or a list ``registry=host[:port][/folder],…`` for the registries that it names.

    Raises:
        UserError: the variable is neither.
    """
    setting = environ.get(MIRROR, "").strip()
    if not setting:
        return reference
    for item in setting.split(","):
        source, equals, place = item.strip().rpartition("=")
        if equals and source != reference.registry:
            continue
        if not equals and not (reference.is_ecr or reference.registry in _PUBLIC):
            continue
        host, _, folder = place.strip("/").partition("/")
        if not _HOST.fullmatch(host) or (folder and not _REPOSITORY.fullmatch(folder)):
            raise UserError(
                Problem(
                    f"{MIRROR} names no registry: {item.strip()!r}",
                    "write host[:port][/folder], or registry=host[:port][/folder] several times with commas",
                )
            )
        repository = f"{folder}/{reference.repository}" if folder else reference.repository
        return replace(reference, registry=host, repository=repository)
    return reference


_PUBLIC: Final = frozenset({HUB, "public.ecr.aws", "ghcr.io", "quay.io"})

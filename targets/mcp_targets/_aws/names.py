"""Names within AWS's alphabets, and tags as the proof of whose a thing is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Alphabet, Identity

ROLE: Final = Alphabet(64)
"""A name of IAM's (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""
REPOSITORY: Final = Alphabet(256)
"""A name of ECR's."""

_SUFFIXES: Final = {"cn": "amazonaws.com.cn"}


def tags(identity: Identity) -> dict[str, str]:
    """What every thing of a deployment is tagged with. AWS takes ``/`` and ``-`` in the keys of tags."""
    return identity.labels()


def listed(of: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as most of AWS spells them."""
    return [{"Key": key, "Value": value} for key, value in sorted(of.items())]


def unlisted(spelled: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The inverse of :func:`listed`; ECS's lower-case spelling too."""
    return {one.get("Key", one.get("key", "")): one.get("Value", one.get("value", "")) for one in spelled}


def is_ours(found: Mapping[str, str], identity: Identity) -> bool:
    """Whether tags prove that a thing is this deployment's."""
    return all(found.get(key) == value for key, value in tags(identity).items())


def strange(what: str, found: Mapping[str, str]) -> WorldError:
    """The refusal to touch a thing that has the name of ours and not its tags."""
    whose = "/".join(found[key] for key in ("mcp-pack/project", "mcp-pack/tool", "mcp-pack/stage") if key in found)
    return WorldError(
        Problem(
            f"{what} is there already and is not this deployment's, so it is left alone",
            "remove or rename it, or give the tool another name or project",
            found=f"tags of {whose}" if whose else "no tag of mcp-pack",
        )
    )


def partition_of(region: str) -> str:
    """The partition that a region is in."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def registry(account: str, region: str) -> str:
    """The host of an account's registry of images."""
    return f"{account}.dkr.ecr.{region}.{_SUFFIXES.get(region[:2], 'amazonaws.com')}"

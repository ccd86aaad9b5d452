"""What whoever deploys must be allowed in AWS: from a table of the calls that the code makes, to an IAM policy.

A test holds the table against the calls that are really made. Actions and the resources that they take:
https://docs.aws.amazon.com/service-authorization/latest/reference/.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mcp_targets._aws.documents import Document, policy

EVERYTHING: Final = "*"


@dataclass(frozen=True, slots=True)
class Needed:
    """Actions of one service and what they are for.

    ``resource`` is the last part of an ARN, in which ``{region}`` and ``{account}`` stand for themselves; ``*`` for
    actions that take no resource. ``always``: every deploy makes these calls.
    """

    service: str
    actions: tuple[str, ...]
    resource: str
    why: str
    always: bool = True


REGISTRY: Final = (
    Needed("ecr", ("GetAuthorizationToken",), EVERYTHING, "the push of an image"),
    Needed(
        "ecr",
        (
            "BatchCheckLayerAvailability",
            "BatchGetImage",
            "CompleteLayerUpload",
            "GetDownloadUrlForLayer",
            "InitiateLayerUpload",
            "PutImage",
            "UploadLayerPart",
        ),
        "arn:{partition}:ecr:{region}:{account}:repository/*",
        "the push of an image",
    ),
    Needed(
        "ecr",
        (
            "CreateRepository",
            "DeleteRepository",
            "DescribeRepositories",
            "GetLifecyclePolicy",
            "ListTagsForResource",
            "PutImageScanningConfiguration",
            "PutImageTagMutability",
            "PutLifecyclePolicy",
            "TagResource",
        ),
        "arn:{partition}:ecr:{region}:{account}:repository/*",
        "the tool's repository",
    ),
)
"""What the repository of a tool takes."""

ROLE: Final = (
    Needed("iam", ("GetRole",), "arn:{partition}:iam::{account}:role/*", "whether the tool has a role"),
    Needed(
        "iam",
        (
            "CreateRole",
            "DeleteRole",
            "DeleteRolePermissionsBoundary",
            "DeleteRolePolicy",
            "DetachRolePolicy",
            "GetRolePolicy",
            "ListAttachedRolePolicies",
            "ListRolePolicies",
            "PassRole",
            "PutRolePermissionsBoundary",
            "PutRolePolicy",
            "TagRole",
            "UpdateAssumeRolePolicy",
        ),
        "arn:{partition}:iam::{account}:role/*",
        "tools with [[permissions.aws]]",
        always=False,
    ),
)
"""What the role of a tool takes."""

SECRETS: Final = (
    Needed(
        "secretsmanager",
        ("GetSecretValue",),
        "arn:{partition}:secretsmanager:{region}:{account}:secret:*",
        "secrets of aws-sm: without a secret_store",
        always=False,
    ),
    Needed(
        "ssm",
        ("GetParameter",),
        "arn:{partition}:ssm:{region}:{account}:parameter/*",
        "secrets of aws-ssm: without a secret_store",
        always=False,
    ),
)
"""What secrets that AWS keeps take."""

CLUSTER: Final = (
    Needed(
        "eks",
        ("DescribeCluster", "ListPodIdentityAssociations"),
        "arn:{partition}:eks:{region}:{account}:cluster/*",
        "the way to the cluster",
    ),
    Needed(
        "eks",
        ("CreatePodIdentityAssociation",),
        "arn:{partition}:eks:{region}:{account}:cluster/*",
        "tools with [[permissions.aws]]",
        always=False,
    ),
    Needed(
        "eks",
        (
            "DeletePodIdentityAssociation",
            "DescribePodIdentityAssociation",
            "TagResource",
            "UpdatePodIdentityAssociation",
        ),
        "arn:{partition}:eks:{region}:{account}:podidentityassociation/*",
        "tools with [[permissions.aws]]",
        always=False,
    ),
    Needed(
        "acm",
        ("DescribeCertificate",),
        "arn:{partition}:acm:{region}:{account}:certificate/*",
        "whether a certificate covers the host",
        always=False,
    ),
)
"""What a cluster of EKS takes."""


def actions(needed: Iterable[Needed], *, always: bool = False) -> tuple[str, ...]:
    """``service:Action`` of each; ``always``: those alone that every deploy asks for."""
    chosen = (one for one in needed if one.always or not always)
    return tuple(f"{one.service}:{action}" for one in chosen for action in one.actions)


def deployer_policy(needed: Iterable[Needed], *, partition: str, region: str, account: str) -> Document:
    """All of it as one IAM policy."""
    by_resource: dict[str, list[str]] = {}
    for one in needed:
        resource = one.resource.format(partition=partition, region=region, account=account)
        by_resource.setdefault(resource, []).extend(f"{one.service}:{action}" for action in one.actions)
    return policy(
        [
            {"Effect": "Allow", "Action": sorted(set(found)), "Resource": [resource]}
            for resource, found in by_resource.items()
        ]
    )

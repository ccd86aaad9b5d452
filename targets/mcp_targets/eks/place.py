"""Which account, region and cluster a deployment belongs to, from the target's options and the stage's pin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_packager.errors import Place, Problem, UserError
from mcp_packager.target import Identity
from mcp_targets._aws import place
from mcp_targets._aws.iam import role_name
from mcp_targets._aws.names import REPOSITORY, partition_of, registry
from mcp_targets._aws.session import Wanted
from mcp_targets.eks.options import Options

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Where:
    """The place of a deployment in AWS, known without asking AWS."""

    cluster: str
    region: str
    account: str

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn`` or ``aws-us-gov``."""
        return partition_of(self.region)

    @property
    def registry(self) -> str:
        """The host that images are pushed to."""
        return registry(self.account, self.region)

    def repository(self, identity: Identity, options: Options) -> str:
        """Where in ECR the tool's images are, without the host."""
        return options.repository or repository_name(identity)

    def role(self, identity: Identity) -> str:
        """The ARN of the role that the tool's Pods are."""
        return f"arn:{self.partition}:iam::{self.account}:role/{role_name(identity)}"


def repository_name(identity: Identity) -> str:
    """What a deployment's own repository is called."""
    return identity.name(alphabet=REPOSITORY)


def where(manifest: Manifest | None, options: Options) -> Where:
    """The place.

    Raises:
        UserError: the manifest leaves something of it open.
    """
    problems = tuple(unplaced(manifest, options))
    if problems:
        raise UserError(problems)
    region, account = place.region_of(manifest, options), place.account_of(manifest, options)
    return Where(options.cluster or "", region or "", account or "")


def wanted(manifest: Manifest | None, options: Options) -> Wanted:
    """Whose credentials it takes."""
    found = where(manifest, options)
    key = "target.eks.account" if options.account else "pin.aws_account"
    file = None if manifest is None else str(manifest.path)
    return Wanted(found.region, found.account, Place(file, key=key))


def unplaced(manifest: Manifest | None, options: Options) -> Iterator[Problem]:
    """What is missing or contradicts itself."""
    file = None if manifest is None else str(manifest.path)
    if options.cluster is None:
        yield Problem(
            "the target eks does not know which cluster",
            'add cluster = "NAME" to [target.eks]',
            Place(file, key="target.eks.cluster"),
        )
    yield from place.unplaced(manifest, options, "eks")

"""Which account and region a deployment belongs to, from the target's options and the stage's pin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mcp_packager.errors import UserError
from mcp_packager.target import Alphabet, Identity
from mcp_targets._aws.names import partition_of
from mcp_targets._aws.place import account_of, region_of, unplaced
from mcp_targets.aws_lambda.options import Options

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

FUNCTION: Final = Alphabet(64)
"""A function's name (Lambda API reference, CreateFunction)."""


@dataclass(frozen=True, slots=True)
class Where:
    """The place of a deployment in AWS, known without asking AWS."""

    region: str
    account: str

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn`` or ``aws-us-gov``."""
        return partition_of(self.region)

    def arn(self, service: str, rest: str) -> str:
        """The ARN of something of this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{rest}"


def function_name(identity: Identity) -> str:
    """What a deployment's function is called."""
    return identity.name(alphabet=FUNCTION)


def log_group_name(identity: Identity) -> str:
    """What the group of its log lines is called."""
    return f"/aws/lambda/{function_name(identity)}"


def parameters(identity: Identity) -> str:
    """Below which path of Parameter Store everything is kept that belongs to a deployment, without a slash at the end.

    A stage's name is no more than a part of a path, so no two deployments share one.
    """
    return f"/mcp-pack/{identity.project}/{identity.tool}/{identity.stage}"


def where(manifest: Manifest | None, options: Options) -> Where:
    """The place.

    Raises:
        UserError: the manifest leaves something of it open.
    """
    problems = tuple(unplaced(manifest, options, "lambda"))
    if problems:
        raise UserError(problems)
    return Where(region_of(manifest, options) or "", account_of(manifest, options) or "")

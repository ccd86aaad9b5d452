"""Which account and region a deployment belongs to, from the target's options and the stage's pin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mcp_packager.errors import Place, Problem, UserError
from mcp_packager.target import Alphabet, Identity
from mcp_targets._aws.names import partition_of
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
    problems = tuple(unplaced(manifest, options))
    if problems:
        raise UserError(problems)
    return Where(_region(manifest, options) or "", _account(manifest, options) or "")


def unplaced(manifest: Manifest | None, options: Options) -> Iterator[Problem]:
    """What is missing or contradicts itself."""
    file = None if manifest is None else str(manifest.path)
    for name, found, sample in (
        ("region", _region(manifest, options), "eu-central-1"),
        ("account", _account(manifest, options), "123456789012"),
    ):
        if found is None:
            yield Problem(
                f"the target lambda does not know which {name}",
                f'add {name} = "{sample}" to [target.lambda], or aws_{name} to the stage\'s [pin]',
                Place(file, key=f"target.lambda.{name}"),
            )
    pin = None if manifest is None else manifest.pin
    if pin is None:
        return
    for name, said, pinned in (
        ("region", options.region, pin.aws_region),
        ("account", options.account, pin.aws_account),
    ):
        if said is not None and pinned is not None and said != pinned:
            yield Problem(
                f"[target.lambda] and [pin] name two {name}s",
                "leave one of them away, or make them the same",
                Place(file, key=f"target.lambda.{name}"),
                expected=pinned,
                found=said,
            )


def _region(manifest: Manifest | None, options: Options) -> str | None:
    return options.region or (manifest.pin.aws_region if manifest and manifest.pin else None)


def _account(manifest: Manifest | None, options: Options) -> str | None:
    return options.account or (manifest.pin.aws_account if manifest and manifest.pin else None)

"""``[pin]``: the one account, region and cluster that a stage may be deployed to."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from mcp_packager.manifest.section import Section
from mcp_packager.manifest.words import Word

_ACCOUNT: Final = r"^[0-9]{12}$"
_REGION: Final = r"^[a-z]{2}(-[a-z]+)+-[0-9]$"

IN_WORDS: Final = {_ACCOUNT: "an account number of twelve digits", _REGION: "a region such as eu-central-1"}
"""Each pattern for people."""


class Pin(Section):
    """What the credentials at hand must belong to. A mismatch stops before anything is written."""

    aws_account: Annotated[str, StringConstraints(pattern=_ACCOUNT)] | None = Field(
        None, description="AWS account, twelve digits"
    )
    aws_region: Annotated[str, StringConstraints(pattern=_REGION)] | None = Field(None, description="AWS region")
    kube_context: Word | None = Field(None, description="Context of the kubeconfig")

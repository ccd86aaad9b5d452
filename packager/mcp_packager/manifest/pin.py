"""``[pin]``: the one account, region and cluster that a stage may be deployed to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from mcp_packager.manifest.section import Section
from mcp_packager.manifest.words import Word


class Pin(Section):
    """What the credentials at hand must belong to. A mismatch stops before anything is written."""

    aws_account: Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")] | None = Field(
        None, description="AWS account, twelve digits"
    )
    aws_region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")] | None = Field(
        None, description="AWS region"
    )
    kube_context: Word | None = Field(None, description="Context of the kubeconfig")

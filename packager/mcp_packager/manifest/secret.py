"""``[secrets.NAME]``: which secrets there are and where each stage finds them. Never a value."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mcp_packager.manifest.section import IN_BUNDLE, Section
from mcp_packager.manifest.words import Line, SecretSource


class Secret(Section):
    """One secret. Its value is read when it is deployed or started, and is in no artifact."""

    description: Line = Field("", description="What it is and where to get one", json_schema_extra=IN_BUNDLE)
    from_: SecretSource | None = Field(
        None,
        alias="from",
        description="Where the value is: env:NAME, file:PATH, aws-sm:ID, aws-ssm:NAME or k8s:NAMESPACE/SECRET/KEY; "
        "the environment variable of the same name by default",
    )
    as_: Literal["env", "file"] = Field(
        "env",
        alias="as",
        description="How the code gets it: an environment variable, or one that names a file",
        json_schema_extra=IN_BUNDLE,
    )
    required: bool = Field(
        default=True, description="Whether the server refuses to start without it", json_schema_extra=IN_BUNDLE
    )

    def source(self, name: str) -> tuple[str, str]:
        """Scheme and rest of where the value is, for the secret called ``name``."""
        scheme, _, rest = (self.from_ or f"env:{name}").partition(":")
        return scheme, rest

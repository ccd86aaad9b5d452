"""The file as a whole, and the manifest that comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mcp_packager.manifest.capacity import Resources, Scale
from mcp_packager.manifest.permission import Permissions
from mcp_packager.manifest.pin import Pin
from mcp_packager.manifest.secret import Secret
from mcp_packager.manifest.section import Section
from mcp_packager.manifest.serve import Serve
from mcp_packager.manifest.service import Service
from mcp_packager.manifest.tool import Tool
from mcp_packager.manifest.verification import Verify, VerifyCall
from mcp_packager.manifest.words import EnvName, EnvValue, Name, StageName


class Document(Section):
    """``mcp-tool.toml`` as it is written, but for ``[stage]``, which is laid over it before."""

    tool: Tool = Field(description="What the tool is")
    env: dict[EnvName, EnvValue] = Field({}, description="Environment of the tool; nothing secret")
    secrets: dict[EnvName, Secret] = Field(
        {}, description="Secrets of the tool: where they come from, never their values"
    )
    services: dict[Name, Service] = Field({}, description="What the tool depends on")
    permissions: Permissions = Field(Permissions.model_construct(), description="What the code may touch")
    serve: Serve = Field(Serve.model_construct(), description="How clients reach the server and who may call")
    resources: Resources = Field(Resources.model_construct(), description="What one running copy gets")
    scale: Scale = Field(Scale.model_construct(), description="How many copies run")
    verify: Verify = Field(Verify.model_construct(), description="What a deploy checks before clients are let in")
    pin: Pin = Field(Pin.model_construct(), description="The account, region and cluster it may be deployed to")
    target: dict[Name, dict[str, Any]] = Field({}, description="Options of each target")


class Stages(Section):
    """``[stage]``: each an overlay of the rest of the file."""

    stage: dict[StageName, dict[str, Any]] = Field({}, description="Overlays, one for each stage")


class Manifest(BaseModel):
    """A tool project's manifest with one stage's overlay applied. Frozen."""

    model_config = ConfigDict(frozen=True, defer_build=True, arbitrary_types_allowed=True)

    project: Path
    """The tool project's folder, absolute."""
    path: Path
    """The manifest file."""
    stage: str
    stages: tuple[str, ...]
    """The stages that the file declares, without ``default``."""
    tool: Tool
    env: Mapping[str, str]
    base_env: Mapping[str, str]
    """``[env]`` without overlay: what the contract is extracted with."""
    contract_env: Mapping[str, str]
    """What the code sees while the contract is read: ``base_env``, and what services provide, without overlay."""
    env_names: tuple[str, ...]
    """Names in ``[env]`` of any stage, and what services provide; sorted."""
    secrets: Mapping[str, Secret]
    services: Mapping[str, Service]
    permissions: Permissions
    serve: Serve
    resources: Resources
    scale: Scale
    verify: tuple[VerifyCall, ...]
    via: str | None
    """``[verify] via``: the one way to look at what is deployed, where there is to be only one."""
    pin: Pin
    targets: Mapping[str, Any]
    """Options of each ``[target.NAME]``: the target's own model where it was given, else plain data."""
    aims: tuple[str, ...]
    """The targets that it is for where a command names none."""
    written: frozenset[str]
    """The portable keys that the file sets, dotted and without the author's own names (``services.image``)."""
    extras: tuple[str, ...]
    """Extras of the runtime that the stages need, all together, since they share one artifact; sorted."""
    server_secrets: frozenset[str]
    """Secrets that any stage names in ``serve.auth.keys``: the server's own, which the code does not get."""

    @property
    def code_secrets(self) -> dict[str, Secret]:
        """The secrets that the author's code gets, in every stage; sorted."""
        return {name: secret for name, secret in sorted(self.secrets.items()) if name not in self.server_secrets}

    def tool_document(self) -> dict[str, Any]:
        """The content of ``tool.json``: the same for every stage and target."""
        return {
            "schema": 1,
            "name": self.tool.name,
            "version": self.tool.version,
            "title": self.tool.title,
            "description": self.tool.description,
            "instructions": self.tool.instructions,
            "entrypoint": self.tool.entrypoint,
            "env": list(self.env_names),
            "secrets": {
                name: {"as": secret.as_, "required": secret.required, "description": secret.description}
                for name, secret in self.code_secrets.items()
            },
        }

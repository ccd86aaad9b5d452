"""Artifacts on their way to a deploy: just built, or built before and taken as they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mcp_packager.bundle import Bundle
from mcp_packager.pipeline.project import Aim
from mcp_packager.platforms import Platform
from mcp_packager.target import Artifact


@dataclass(frozen=True)
class Built:
    """One target's artifact, with the bundles it was made of."""

    aim: Aim
    artifact: Artifact
    bundles: dict[Platform, Bundle]
    folder: Path

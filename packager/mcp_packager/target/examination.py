"""What ``doctor`` finds out about a place: whether it has what a deploy needs, and which rights a deployer needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked for. ``state`` is ``ok``, ``missing`` (optional) or ``broken`` (needed)."""

    name: str
    state: str
    detail: str
    needed_for: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights that a deployer needs, as a document of the platform's own; ``name`` says what it is."""

    name: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found at one target, and what a deployer there is to be granted."""

    findings: tuple[Finding, ...]
    grants: tuple[Grant, ...] = ()

    def and_then(self, later: Examination) -> Examination:
        """Both together."""
        return Examination((*self.findings, *later.findings), (*self.grants, *later.grants))


@runtime_checkable
class Examined(Protocol):
    """A target that can look at the place it deploys to. Optional."""

    def examine(self, manifest: Manifest, options: Any, environ: Mapping[str, str]) -> Examination:
        """Look, and change nothing. What is wrong is a finding, not an error."""
        ...

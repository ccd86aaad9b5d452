"""The target protocol: what one place to run tools declares and does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mcp_packager.progress import Progress, Silent
from mcp_packager.target.artifact import Artifact
from mcp_packager.target.exposure import Exposure
from mcp_packager.target.glance import Glance
from mcp_packager.target.identity import Identity
from mcp_packager.target.release import Intent, Via
from mcp_packager.target.resources import Resource
from mcp_packager.target.world import World

if TYPE_CHECKING:
    from pydantic import BaseModel

    from mcp_packager.bundle import Bundle
    from mcp_packager.errors import Problem
    from mcp_packager.interpreters import Interpreter
    from mcp_packager.lock import Lock
    from mcp_packager.manifest import Manifest
    from mcp_packager.platforms import Platform

TARGET_API = 1
"""The version of this protocol. A target that declares another one is refused."""


class Level(StrEnum):
    """What a target does with a portable manifest key."""

    HONOURS = "honours"
    """The key does here what its documentation says."""
    MAPS = "maps"
    """The key becomes something of the platform's own; the word says what."""
    REFUSES = "refuses"
    """Setting the key is a problem here; the word says why."""


@dataclass(frozen=True, slots=True)
class Support:
    """One cell of the support table. ``word`` is a phrase; empty only for ``honours``."""

    level: Level
    word: str = ""


HONOURS = Support(Level.HONOURS)


def maps(word: str) -> Support:
    """The key becomes something else here: say what, in a phrase."""
    return Support(Level.MAPS, word)


def refuses(word: str) -> Support:
    """The key cannot be kept here: say why, in a phrase."""
    return Support(Level.REFUSES, word)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a target can do.

    ``candidate``: new code runs before clients reach it; ``weights``: traffic can be shared; ``via``: the ways in which
    a deploy can look at what it made.
    """

    candidate: bool = False
    weights: bool = False
    records: bool = True
    logs: bool = True
    stdio: bool = False
    via: frozenset[Via] = frozenset({Via.PUBLIC})


@dataclass(frozen=True)
class About:
    """What a target says of itself.

    ``support`` names every portable manifest key. ``options`` models ``[target.NAME]``. ``warning`` is said at
    every deploy: what a user must know, such as that nothing is isolated.
    """

    name: str
    api: int
    summary: str
    options: type[BaseModel]
    support: Mapping[str, Support]
    capabilities: Capabilities = Capabilities()
    warning: str = ""


@dataclass(frozen=True)
class BuildInput:
    """What a target builds its artifact from. ``output`` is the target's own folder, which exists and is empty.

    ``base`` is what :meth:`Based.base_image` answered, with the digest that the lock holds for it. ``lock`` is what the
    bundles were made by: what an image is said to be made of.
    """

    manifest: Manifest
    options: Any
    bundles: Mapping[Platform, Bundle]
    contract: Mapping[str, Any]
    output: Path
    progress: Progress = field(default_factory=Silent)
    base: str | None = None
    lock: Lock | None = None


@dataclass(frozen=True)
class DesiredInput:
    """What desired state is made from. ``interpreters`` are those that :meth:`Target.platforms` answered."""

    manifest: Manifest
    options: Any
    identity: Identity
    artifact: Artifact
    config: Mapping[str, Any]
    interpreters: Mapping[Platform, Interpreter] = field(default_factory=dict)


@dataclass(frozen=True)
class WorldInput:
    """What a target reaches its world with.

    ``manifest``, ``artifact`` and ``bundles`` are there for a deploy; looking at or removing what is deployed needs
    none of them. ``output`` is the folder that holds the artifact.
    """

    identity: Identity
    options: Any = None
    manifest: Manifest | None = None
    artifact: Artifact | None = None
    bundles: Mapping[Platform, Bundle] = field(default_factory=dict)
    output: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    """The packager's environment: where ``env:`` secrets come from. Read only in apply."""
    progress: Progress = field(default_factory=Silent)
    glance: Glance | None = None
    """Where this is one of many that are only looked at: what was read for the others."""


class Target(Protocol):
    """One place to run tools. Nothing here writes to the world but what :meth:`world` answers."""

    @property
    def about(self) -> About:
        """What it says of itself."""
        ...

    def check(self, manifest: Manifest, options: Any) -> tuple[Problem, ...]:
        """What in the manifest this target cannot do, beyond the refused keys."""
        ...

    def exposure(self, manifest: Manifest, options: Any) -> Exposure:
        """Who can reach what is deployed here; decides whether callers must be asked who they are."""
        ...

    def platforms(self, manifest: Manifest, options: Any) -> tuple[tuple[Platform, Interpreter], ...]:
        """The platforms it needs bundles for, each with an interpreter of that minor version.

        Raises:
            UserError: no interpreter fits.
        """
        ...

    def build(self, request: BuildInput) -> Artifact:
        """Write the artifact into ``request.output``; the caller writes ``artifact.json`` beside it."""
        ...

    def desired(self, request: DesiredInput) -> tuple[Resource, ...]:
        """What should be in the world. Pure: the same input, the same answer; no look at clock, disk or network."""
        ...

    def world(self, request: WorldInput) -> World:
        """The seam to where it runs. Making it reads and writes nothing."""
        ...


@runtime_checkable
class Based(Protocol):
    """A target whose artifact stands on an image of somebody else's. Optional."""

    def base_image(self, manifest: Manifest, options: Any) -> str | None:
        """The image's name; what it meant when the lock was made stands there by digest. ``None``: it is built here."""
        ...


@runtime_checkable
class Tried(Protocol):
    """A target on which ``mcp-pack run`` can try a tool out, deployed for as long as the command runs. Optional."""

    def trying(self, options: Any, host: str, port: int) -> Any:
        """The options for that: published at this address (port 0: a free one), with nothing kept of earlier versions.

        Pure.
        """
        ...


@runtime_checkable
class Takes(Protocol):
    """A target that deploys artifacts which it did not just build: built before, or found in a registry. Optional."""

    def taken(self, artifact: Artifact, manifest: Manifest, options: Any) -> Artifact:
        """The artifact with what this target needs to know of it. Pure.

        An artifact without ``path`` is an image in a registry: its fact ``source`` names it by digest.

        Raises:
            UserError: it cannot run here.
        """
        ...


@runtime_checkable
class Together(Protocol):
    """A target whose deployments share something that is not everybody's: a load balancer, a host name. Optional."""

    def clashes(self, intent: Intent, others: Sequence[Intent]) -> tuple[Problem, ...]:
        """What stands between one deployment and others that are wanted in the same run. Pure."""
        ...


@runtime_checkable
class Hosts(Protocol):
    """A target that runs images of MCP servers that mcp-pack did not make, and that hold no contract. Optional."""

    def hosted(self, artifact: Artifact, manifest: Manifest, options: Any) -> Artifact:
        """As :meth:`Takes.taken`, of such an image: what it shows is read from it while it is a candidate. Pure.

        Raises:
            UserError: it cannot run here, or the manifest asks of it what it cannot do.
        """
        ...

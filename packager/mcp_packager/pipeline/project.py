"""A tool project as a command sees it: its manifest and the targets that the command is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp_packager import registry
from mcp_packager.manifest import Manifest, load
from mcp_packager.pipeline.requests import Request
from mcp_packager.target import Target

if TYPE_CHECKING:
    from pydantic import BaseModel

DEFAULT_TARGET = "local"
"""Where a tool runs whose manifest names no target."""


@dataclass(frozen=True)
class Aim:
    """One target that a command is about, with the options that the manifest gives it."""

    name: str
    target: Target
    options: Any


@dataclass(frozen=True)
class Project:
    """A manifest and the targets asked for, in the order asked or, unasked, the manifest's."""

    manifest: Manifest
    aims: tuple[Aim, ...]


class _KnownOptions(Mapping[str, "type[BaseModel]"]):
    """Options models by target name. A target is imported when its table is read, not before."""

    def __init__(self) -> None:
        self._names = registry.names()

    def __getitem__(self, name: str) -> type[BaseModel]:
        if name not in self._names:
            raise KeyError(name)
        return registry.load(name).about.options

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def open_project(request: Request) -> Project:
    """Read the manifest and find the targets.

    Raises:
        UserError: everything wrong with the manifest, an unknown target, or what a target cannot do with it.
        UsageError: ``--target`` names none that is installed.
    """
    manifest = load(request.project, request.stage, options=_KnownOptions())
    names = request.targets or manifest.aims or (DEFAULT_TARGET,)
    aims = []
    for name in dict.fromkeys(names):
        target = registry.load(name)
        options = manifest.targets[name] if name in manifest.targets else target.about.options()
        aims.append(Aim(name, target, options))
    return Project(manifest, tuple(aims))

"""``mcp-workspace.toml``: what a team says once for all of its tools, and what none of them may change."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints, ValidationError

from mcp_packager.errors import Place, Problem, UserError
from mcp_packager.manifest import findings, placing, positions, shape, source, stages
from mcp_packager.manifest.document import Document
from mcp_packager.manifest.findings import Finding
from mcp_packager.manifest.section import Many, Section
from mcp_packager.manifest.words import Name, RelativePath, StageName

FILE_NAME: Final = "mcp-workspace.toml"

_DOTTED: Final = r"^[a-z_]+(\.[A-Za-z_][A-Za-z0-9_-]*)*$"
_PASSED: Final = frozenset({"node_modules", "dist", "build", "__pycache__", "venv"})
"""Folders that hold no tool projects, with all whose names begin with a dot."""
_DEEPEST: Final = 5
"""Levels of folders that are looked into where the file names no members."""

Dotted = Annotated[str, StringConstraints(pattern=_DOTTED, max_length=200)]


class Table(Section):
    """``[workspace]``."""

    project: Name | None = Field(None, description="Project that owns what is deployed, of tools that name none")
    members: Many[RelativePath] = Field(
        (), description="Folders of the tools, with * and ?; every folder below with an mcp-tool.toml where empty"
    )
    targets: Many[Name] = Field((), description="Where tools go that name no target")
    locked: Many[Dotted] = Field((), description="Keys that no tool may set, such as target.eks.cluster")


class WorkspaceFile(Section):
    """``mcp-workspace.toml`` as it is written."""

    workspace: Table = Field(Table.model_construct(), description="Which tools, and what they may not change")
    defaults: dict[str, Any] = Field({}, description="What every tool's file says unless it says otherwise")
    stage: dict[StageName, dict[str, Any]] = Field({}, description="The same for one stage")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace around tool projects. ``text`` is the file's, for the places of problems."""

    path: Path
    text: str
    table: Table
    defaults: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def under(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """A tool's file with what the workspace says below it."""
        given: dict[str, Any] = dict(self.defaults)
        if self.stages:
            given["stage"] = dict(self.stages)
        return stages.overlay(given, raw)

    def refused(self, raw: Mapping[str, Any]) -> list[Finding]:
        """Keys of a tool's file that are locked."""
        overlays = raw.get("stage")
        heads: list[tuple[findings.Path, Any]] = [((), raw)]
        heads += [(("stage", name), over) for name, over in (overlays if isinstance(overlays, dict) else {}).items()]
        return [
            Finding(
                (*head, *key.split(".")),
                f"{key} is locked by the workspace",
                f"Remove it: {self.path} says what it is for every tool",
                on_key=True,
            )
            for key in self.table.locked
            for head, data in heads
            if placing.holds(data, tuple(key.split(".")))
        ]

    def place(self, path: findings.Path) -> Place | None:
        """Where a key of a tool's manifest stands in the workspace's file; ``None`` where it does not."""
        if path[:1] == ("stage",):
            data: Any = {"stage": self.stages}
            there: findings.Path = path
        else:
            data, there = {"defaults": self.defaults}, ("defaults", *path)
        if not placing.holds(data, there):
            return None
        return placing.place(Finding(there, "", ""), positions.scan(self.text), self.text, self.path)

    def holds(self, project: Path) -> bool:
        """Whether a folder below is one of the members."""
        parts = project.relative_to(self.path.parent).parts
        if not self.table.members:
            return not any(_passed(part) for part in parts)
        return any(_matches(parts, Path(pattern).parts) for pattern in self.table.members)


def around(project: Path) -> Workspace | None:
    """The workspace that a tool project is a member of, looked for in the folders above it.

    A file that belongs to another user is left alone: whoever may write above a project must not change what it does.

    Raises:
        UserError: everything wrong with the workspace's file.
    """
    folder = project.absolute()
    for above in (folder, *folder.parents):
        path = above / FILE_NAME
        try:
            owner = path.stat().st_uid
        except OSError:
            continue
        if owner not in {0, os.geteuid()}:
            continue
        found = read(path)
        return found if found.holds(folder) else None
    return None


def read(path: Path) -> Workspace:
    """The workspace in a file.

    Raises:
        UserError: everything wrong with it, but for what its defaults would be in a tool's file.
    """
    text = source.read(path)
    raw = source.parse(text, path)
    try:
        document = WorkspaceFile.model_validate(raw)
    except ValidationError as error:
        wrong = findings.from_pydantic(error.errors(include_url=False), raw, WorkspaceFile)
        raise UserError(_placed(wrong, path, text)) from None
    wrong = list(_not_for_all(document))
    if wrong:
        raise UserError(_placed(wrong, path, text))
    return Workspace(path, text, document.workspace, document.defaults, document.stage)


def members(folder: Path) -> tuple[Path, ...]:
    """The tool projects of a workspace, or below a folder without one; sorted by path.

    Raises:
        UserError: there is none, or the workspace's file is wrong.
    """
    path = folder / FILE_NAME
    found = read(path) if path.is_file() else None
    if found is not None and found.table.members:
        folders = {each for pattern in found.table.members for each in folder.glob(pattern)}
    else:
        folders = set(_below(folder, _DEEPEST))
    projects = tuple(sorted(each for each in folders if (each / source.FILE_NAME).is_file()))
    if not projects:
        raise UserError(
            Problem(
                f"there is no tool project in {folder}",
                f"name a folder that has some below it, or start one with: mcp-pack new NAME; "
                f"members in {FILE_NAME} says where they are",
                Place(str(path if found else folder)),
            )
        )
    return projects


def _below(folder: Path, levels: int) -> Iterator[Path]:
    if (folder / source.FILE_NAME).is_file():
        yield folder
        return
    if levels == 0:
        return
    try:
        inside = sorted(each for each in folder.iterdir() if each.is_dir() and not each.is_symlink())
    except OSError:
        return
    for each in inside:
        if not _passed(each.name):
            yield from _below(each, levels - 1)


def _passed(name: str) -> bool:
    return name.startswith(".") or name in _PASSED


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    return len(parts) == len(pattern) and all(map(fnmatchcase, parts, pattern))


def _not_for_all(document: WorkspaceFile) -> Iterator[Finding]:
    """What belongs to one tool alone."""
    known = [key for key in shape.fields(Document) if key != "tool"]
    heads: list[tuple[findings.Path, Mapping[str, Any]]] = [(("defaults",), document.defaults)]
    heads += [(("stage", name), over) for name, over in document.stage.items()]
    for head, data in heads:
        for key in data:
            if key == "tool" and head == ("defaults",):
                yield Finding((*head, key), "[tool] is each tool's own", "Write it in its mcp-tool.toml", on_key=True)
            elif key not in known:
                yield findings.unknown((*head, key), known)


def _placed(wrong: list[Finding], path: Path, text: str) -> list[Problem]:
    spots = positions.scan(text)
    return [placing.problem(finding, placing.place(finding, spots, text, path)) for finding in wrong]

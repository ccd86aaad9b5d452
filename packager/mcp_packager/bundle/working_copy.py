"""What lies in a project folder: as git sees it, or by walking."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mcp_packager.errors import Place, Problem, UserError, WorldError
from mcp_packager.process import run

_SKIPPED = {
    ".git",
    ".hg",
    ".svn",
    ".venv",
    "venv",
    "node_modules",
    "__pycache__",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".ruff_cache",
}
_GIT_SECONDS = 60.0
_SUBMODULE = "160000"


class Kind(Enum):
    """What git says of a file; ``FOUND`` without git."""

    TRACKED = "tracked"
    UNTRACKED = "untracked"
    SUBMODULE = "submodule"
    FOUND = "found"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A path from the project folder, with ``/``."""

    path: str
    kind: Kind


def by_git(project: Path) -> tuple[Candidate, ...] | None:
    """Tracked files, and untracked ones that are not ignored; ``None`` where git does not look after the folder.

    Raises:
        UserError: the folder is in a repository that git refuses to read.
    """
    if not any((folder / ".git").exists() for folder in (project, *project.parents)):
        return None
    listed = _git(project, "ls-files", "--stage", "-z")
    if listed is None:
        return None
    found: dict[str, Kind] = {}
    for line in listed:
        head, _, path = line.partition("\t")
        found[path] = Kind.SUBMODULE if head.startswith(_SUBMODULE) else Kind.TRACKED
    others = _git(project, "ls-files", "--others", "--exclude-standard", "-z") or ()
    found |= {path.rstrip("/"): Kind.UNTRACKED for path in others}
    if not found:
        return None  # the whole folder is ignored by a repository around it
    return tuple(Candidate(path, kind) for path, kind in found.items())


def by_walking(project: Path) -> tuple[Candidate, ...]:
    """Every file and link below the folder, without the folders that tools fill. Links are not followed."""
    return tuple(Candidate(path, Kind.FOUND) for path in _walk(project, ""))


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(
            Problem(
                what=f"{prefix or folder} cannot be read: {error.strerror}",
                fix="Let yourself read it, or move it out of the project",
                where=Place(file=prefix.rstrip("/") or str(folder)),
            )
        ) from error
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in _SKIPPED and not _is_environment(entry):
                yield from _walk(Path(entry.path), f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}"


def _is_environment(entry: os.DirEntry[str]) -> bool:
    return Path(entry.path, "pyvenv.cfg").exists()


def _git(project: Path, *arguments: str) -> tuple[str, ...] | None:
    """The NUL-separated answer of a git command, without the settings of a hook around us."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = run(["git", "-c", "core.fsmonitor=false", *arguments], cwd=project, env=env, timeout=_GIT_SECONDS)
    except WorldError:
        return None
    if done.ok:
        text = done.stdout.decode("utf-8", "surrogateescape")
        return tuple(line for line in text.split("\0") if line)
    if "not a git repository" in done.stderr:
        return None
    raise UserError(
        Problem(
            what=f"git cannot list the project's files: {done.stderr.strip().splitlines()[0]}",
            fix="Mend the repository; for 'dubious ownership': git config --global --add safe.directory "
            + str(project),
            where=Place(file=str(project)),
        )
    )

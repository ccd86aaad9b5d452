"""The author's files: which of the project's files go into a bundle, and where.

Of the import root (``src/`` if there is one, else the project folder) everything goes along that git tracks, or
does not ignore, or, without git, everything; but nothing hidden, no tests, no documentation, no project files,
no output of tools. ``include`` adds files from anywhere in the project, git-ignored ones too (generated code,
say), ``exclude`` takes away. A file that looks like a secret is not left out silently: the secret check sees it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_packager.bundle.patterns import matches
from mcp_packager.bundle.secret_names import secret_by_name
from mcp_packager.bundle.working_copy import Candidate, Kind, by_git, by_walking
from mcp_packager.errors import Place, Problem, UserError

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

_NEVER = ("**/__pycache__", "**/*.pyc", "**/*.pyo", "**/.git", "**/.hg", "**/.svn", "mcp-tool.toml", "mcp-tool.lock")
"""Not even ``include`` takes these."""

_NOT_SHIPPED = (
    "**/.*",
    "**/*.egg-info",
    "**/*.dist-info",
    "**/node_modules",
    "build",
    "dist",
    "env",
    "venv",
    "site",
    "doc",
    "docs",
    "test",
    "tests",
    "benchmarks",
    "examples",
    "htmlcov",
    "conftest.py",
    "test_*.py",
    "*_test.py",
    "noxfile.py",
    "setup.py",
    "setup.cfg",
    "pyproject.toml",
    "tox.ini",
    "pytest.ini",
    "mypy.ini",
    "ruff.toml",
    "uv.lock",
    "uv.toml",
    "poetry.lock",
    "requirements*.txt",
    "requirements*.in",
    "constraints*.txt",
    "Makefile",
    "Dockerfile*",
    "docker-compose*.y*ml",
    "compose*.y*ml",
    "README*",
    "CHANGELOG*",
    "CONTRIBUTING*",
    "AUTHORS*",
    "CODE_OF_CONDUCT*",
    "SECURITY*",
)
"""Left out unless ``include`` names them; without ``**/`` only at the top of the import root."""


@dataclass(frozen=True, slots=True)
class AuthorFile:
    """One file: its path below ``app/``, where it lies, its path from the project folder, 0o644 or 0o755."""

    path: str
    source: Path
    shown: str
    mode: int

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            UserError: it went away, or cannot be read any more.
        """
        try:
            return self.source.read_bytes()
        except OSError as error:
            what = f"{self.shown} cannot be read: {error.strerror}"
            raise UserError(
                Problem(what=what, fix="Build again when it rests", where=Place(file=self.shown))
            ) from error


@dataclass(frozen=True, slots=True)
class AuthorFiles:
    """The author's files sorted by path, and those among them that git does not track yet.

    ``root`` is the import root's path from the project folder, ``.`` or ``src``.
    """

    files: tuple[AuthorFile, ...]
    untracked: tuple[str, ...]
    root: str


def import_root(project: Path) -> Path:
    """Where the author's code is imported from: ``src`` if there is one, else the project's folder."""
    source = project / "src"
    return source if source.is_dir() else project


def author_files(manifest: Manifest) -> AuthorFiles:
    """Choose the author's files.

    Raises:
        UserError: every file that cannot be packed: links out of the project, to nowhere or to a folder, pipes
            and devices, submodules, unreadable files, names that no other machine can hold; or there is none.
    """
    project = manifest.project.resolve()
    root = import_root(project).relative_to(project).as_posix()
    exclude = tuple(manifest.tool.exclude)
    include = tuple(manifest.tool.include)
    served = str(manifest.tool.entrypoint).partition(":")[0].partition(".")[0]
    candidates = by_git(project)
    if candidates is None:
        candidates = by_walking(project)
    elif include:
        known = {candidate.path for candidate in candidates}
        extra = (found for found in by_walking(project) if found.path not in known and matches(found.path, include))
        candidates = (*candidates, *extra)
    problems: list[Problem] = []
    files: dict[str, AuthorFile] = {}
    untracked: list[str] = []
    for candidate in sorted(candidates, key=lambda found: found.path):
        target = _target(candidate, root, (*include, *_of_module(served, root)), exclude)
        if target is None:
            continue
        try:
            taken = _checked(candidate, target, project)
        except _UnfitError as unfit:
            problems.append(_bad(candidate, unfit.what, unfit.fix))
            continue
        if taken is None:
            continue
        if first := files.get(target):
            problems.append(_bad(candidate, f"would be packed as {target}, as would {first.shown}", "Exclude one"))
            continue
        files[target] = taken
        if candidate.kind is Kind.UNTRACKED:
            untracked.append(candidate.path)
    if problems:
        raise UserError(problems)
    if not files:
        raise UserError(_nothing(manifest.path, root))
    return AuthorFiles(tuple(files[path] for path in sorted(files)), tuple(untracked), root)


def _of_module(name: str, root: str) -> tuple[str, ...]:
    """The served module's own files, which go along though they have a name such as ``test_server.py`` or ``site``."""
    place = "src/" if root == "src" else ""
    return (f"{place}{name}.py", f"{place}{name}/*.py", f"{place}{name}/**/*.py")


def _target(candidate: Candidate, root: str, include: Iterable[str], exclude: Iterable[str]) -> str | None:
    """The path below ``app/``, ``None`` for a file that stays behind."""
    path = candidate.path
    inner = path.removeprefix("src/") if root == "src" else path
    if matches(path, _NEVER) or matches(path, exclude):
        return None
    if matches(path, include):
        return inner
    if root == "src" and not path.startswith("src/"):
        return None
    if secret_by_name(path) is not None:
        return inner
    return None if matches(inner, _NOT_SHIPPED) else inner


class _UnfitError(Exception):
    """A file that cannot be packed: what it is, and a fix where leaving it out is not the one."""

    def __init__(self, what: str, fix: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


def _checked(candidate: Candidate, target: str, project: Path) -> AuthorFile | None:
    """The file; ``None`` for one that git lists and nobody has.

    Raises:
        _UnfitError: it cannot be packed.
    """
    if candidate.kind is Kind.SUBMODULE:
        raise _UnfitError("is a submodule, whose files belong to another repository")
    if any(ord(letter) < 32 or 0xDC80 <= ord(letter) <= 0xDCFF or letter == "\\" for letter in candidate.path):
        raise _UnfitError("has a name that is not portable text", "Rename it")
    path = project / candidate.path
    try:
        state = path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _UnfitError(f"cannot be read: {error.strerror}") from error
    if stat.S_ISLNK(state.st_mode):
        path, state = _followed(path, project)
    elif not path.parent.resolve().is_relative_to(project):
        raise _UnfitError("lies behind a link that leads out of the project")
    if stat.S_ISDIR(state.st_mode):
        raise _UnfitError("is a repository inside the project")
    if not stat.S_ISREG(state.st_mode):
        raise _UnfitError("is a pipe, a socket or a device, not a file")
    if not os.access(path, os.R_OK):
        raise _UnfitError("cannot be read", "Let yourself read it, or leave it out with `exclude` under [tool]")
    return AuthorFile(target, path, candidate.path, 0o755 if state.st_mode & stat.S_IXUSR else 0o644)


def _followed(path: Path, project: Path) -> tuple[Path, os.stat_result]:
    """Where a link inside the project leads: to a file inside it, or the link is unfit."""
    try:
        real = path.resolve(strict=True)
        state = real.stat()
    except (OSError, RuntimeError) as error:
        raise _UnfitError("is a link to nowhere") from error
    if not real.is_relative_to(project):
        raise _UnfitError("is a link out of the project, which is never followed")
    if stat.S_ISDIR(state.st_mode):
        raise _UnfitError("is a link to a folder")
    return real, state


def _bad(candidate: Candidate, what: str, fix: str | None) -> Problem:
    shown = candidate.path.encode("utf-8", "backslashreplace").decode()
    leave_out = f'Remove it, or leave it out: exclude = ["{shown}"] under [tool]'
    return Problem(what=f"{shown} {what}", fix=fix or leave_out, where=Place(file=shown))


def _nothing(manifest: Path, root: str) -> Problem:
    place = "src/" if root == "src" else "the project folder"
    return Problem(
        what=f"There is no file of yours to pack in {place}",
        fix="Put the tool's code there, or check `include` and `exclude` under [tool]",
        where=Place(file=str(manifest), key="tool"),
    )


def names(files: AuthorFiles) -> Iterator[str]:
    """The top-level names that the author's files can be imported by."""
    yield from sorted({file.path.split("/", 1)[0].removesuffix(".py") for file in files.files})

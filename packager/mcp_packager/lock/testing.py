"""What a project's tests need beside the bundle: pytest and the author's own test dependencies."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_packager.errors import Problem, WorldError
from mcp_packager.interpreters import Interpreter
from mcp_packager.lock import credentials, uv
from mcp_packager.lock.document import Lock
from mcp_packager.platforms import Platform
from mcp_packager.process import run
from mcp_packager.progress import Progress
from mcp_packager.store import Store, StoredFile, sha256_of

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

KIND = "tests"
GROUPS = ("test", "tests", "testing", "dev")
"""Dependency groups (PEP 735) and extras that hold what tests need, by common use."""
_ALWAYS = "pytest>=8"


def test_library(
    manifest: Manifest, lock: Lock, platform: Platform, interpreter: Interpreter, *, progress: Progress
) -> Path:
    """A folder to import pytest and the author's test dependencies from, none of them newer than the lock says.

    Raises:
        WorldError: uv could not install them.
    """
    wanted = sorted({_ALWAYS, *_declared(manifest.project / "pyproject.toml")})
    pins = sorted(f"{package.name}=={package.version}" for package in lock.platforms[platform])
    identity = "\n".join([interpreter.identity, str(platform), *wanted, "", *pins])
    key = hashlib.sha256(identity.encode()).hexdigest()
    store = Store()

    def make(folder: Path) -> Iterable[StoredFile]:
        with progress.stage("test dependencies"):
            return _install(folder, wanted, pins, interpreter, manifest.project)

    return store.folder(KIND, key, make).folder / "lib"


def _install(
    folder: Path, wanted: Iterable[str], pins: Iterable[str], interpreter: Interpreter, project: Path
) -> Iterable[StoredFile]:
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
    env = uv.environment() | {"UV_COMPILE_BYTECODE": "1"}
    command = [uv.program(), "pip", "install", "--python", str(interpreter.path), "--target", str(folder / "lib")]
    command += ["--link-mode", "copy", "--only-binary", ":all:", "-c", str(constraints), *wanted]
    done = run(command, cwd=project, env=env, secrets=credentials.values(project, os.environ))
    constraints.unlink()
    if not done.ok:
        raise WorldError(
            Problem(
                "the dependencies of the tests could not be installed",
                "check [dependency-groups] test or dev in pyproject.toml, and the package index",
                found=done.stderr.strip()[-2000:],
            )
        )
    (folder / "lib" / ".lock").unlink(missing_ok=True)
    return [
        StoredFile(path.relative_to(folder).as_posix(), sha256_of(path), path.stat().st_size)
        for path in sorted((folder / "lib").rglob("*"))
        if path.is_file() and not path.is_symlink()
    ]


def _declared(path: Path) -> Iterator[str]:
    """Requirements of the groups and extras that tests usually have."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    groups = document.get("dependency-groups", {})
    extras = document.get("project", {}).get("optional-dependencies", {})
    for name in GROUPS:
        yield from _expanded(groups, name, ())
        yield from (item for item in extras.get(name, ()) if isinstance(item, str))


def _expanded(groups: Mapping[str, Any], name: str, above: tuple[str, ...]) -> Iterator[str]:
    """A group with the groups that it includes; a circle ends where it closes."""
    if name in above:
        return
    for item in groups.get(name, ()):
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping) and isinstance(item.get("include-group"), str):
            yield from _expanded(groups, item["include-group"], (*above, name))

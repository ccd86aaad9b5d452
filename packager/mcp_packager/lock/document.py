"""``mcp-tool.lock``: sorted JSON that names versions, files and hashes, and no address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_packager.errors import Place, Problem, UserError
from mcp_packager.files import write_atomic, writing
from mcp_packager.platforms import Platform

SCHEMA = 1
FILE_NAME = "mcp-tool.lock"


@dataclass(frozen=True, slots=True, order=True)
class LockedPackage:
    """One package for one platform: canonical name, version, the wheel's file name and SHA-256."""

    name: str
    version: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class LockedRuntime:
    """The runtime, which comes from the copy that mcp-pack is installed with and so has no hash of an index."""

    version: str
    extras: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lock:
    """What ``mcp-tool.lock`` says.

    ``inputs`` is a SHA-256 over what was resolved, so that a lock older than its inputs is seen.
    ``images`` maps an image reference to the digest it had (``sha256:…``).
    ``addresses`` (SHA-256 to URL, of this run only) saves asking the index twice; it is never written.
    """

    inputs: str
    requirements: tuple[str, ...]
    runtime: LockedRuntime
    platforms: Mapping[Platform, tuple[LockedPackage, ...]]
    images: Mapping[str, str] = field(default_factory=dict)
    project: Path = field(default_factory=Path, compare=False)
    addresses: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def path(self) -> Path:
        """Where the file is, or will be."""
        return self.project / FILE_NAME

    def versions(self) -> dict[str, str]:
        """Package to version; where platforms differ, versions are joined with a comma."""
        found: dict[str, set[str]] = {}
        for packages in self.platforms.values():
            for package in packages:
                found.setdefault(package.name, set()).add(package.version)
        return {name: ", ".join(sorted(found[name])) for name in sorted(found)}

    def dump(self) -> bytes:
        """The bytes of the file: the same for the same lock."""
        document = {
            "schema": SCHEMA,
            "inputs": self.inputs,
            "requirements": sorted(self.requirements),
            "runtime": {"version": self.runtime.version, "extras": sorted(self.runtime.extras)},
            "images": dict(self.images),
            "platforms": {
                str(platform): [
                    {"name": item.name, "version": item.version, "file": item.file, "sha256": item.sha256}
                    for item in sorted(packages)
                ]
                for platform, packages in self.platforms.items()
            },
        }
        return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    def write(self) -> None:
        """Write the file beside the manifest, whole or not at all.

        Raises:
            WorldError: the system does not let it be written.
        """
        with writing(self.path):
            write_atomic(self.path, self.dump())


def read(project: Path) -> Lock | None:
    """The lock of a project, ``None`` where there is none yet.

    Raises:
        UserError: the file is not a lock, or a newer mcp-pack wrote it.
    """
    path = project / FILE_NAME
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _bad(path, f"cannot be read: {error.strerror}") from error
    try:
        document = json.loads(raw)
        schema = document["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise _bad(path, "is not a lock") from error
    if not isinstance(schema, int) or schema > SCHEMA:
        raise UserError(
            Problem(
                what=f"{FILE_NAME} has schema {schema}, this mcp-pack reads up to {SCHEMA}",
                fix="Upgrade mcp-pack to the version that wrote it",
                where=Place(file=str(path), key="schema"),
            )
        )
    try:
        return _parse(document, project)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _bad(path, "is damaged") from error


def _parse(document: Mapping[str, Any], project: Path) -> Lock:
    platforms: dict[Platform, tuple[LockedPackage, ...]] = {}
    for name, packages in document["platforms"].items():
        python, _, tag = name.partition("-")
        platforms[Platform(python, tag)] = tuple(
            LockedPackage(item["name"], item["version"], _plain(item["file"]), _digest(item["sha256"]))
            for item in packages
        )
    runtime = document["runtime"]
    return Lock(
        inputs=str(document["inputs"]),
        requirements=tuple(document["requirements"]),
        runtime=LockedRuntime(str(runtime["version"]), tuple(runtime["extras"])),
        platforms=platforms,
        images=dict(document.get("images", {})),
        project=project,
    )


def _plain(name: str) -> str:
    """A wheel's file name becomes a path in the store, so it must be nothing but a name."""
    if "/" in name or "\\" in name or "\0" in name or not name.endswith(".whl"):
        raise ValueError(name)
    return name


def _digest(text: str) -> str:
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise ValueError(text)
    return text


def _bad(path: Path, what: str) -> UserError:
    return UserError(
        Problem(
            what=f"{FILE_NAME} {what}",
            fix="Restore it from version control, or delete it and run `mcp-pack lock`",
            where=Place(file=str(path)),
        )
    )

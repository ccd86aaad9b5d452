"""A lock's wheels for one platform, in the store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mcp_packager.errors import Problem, UserError, WorldError
from mcp_packager.interpreters import running
from mcp_packager.lock import runtime
from mcp_packager.lock.document import Lock, LockedPackage
from mcp_packager.lock.inputs import read_sources
from mcp_packager.platforms import Platform
from mcp_packager.progress import Progress, Silent
from mcp_packager.store import Store

_KIND = "wheels"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel in the store: canonical name, version, file name, SHA-256 and where it lies (read-only)."""

    name: str
    version: str
    filename: str
    sha256: str
    path: Path


def fetch(
    lock: Lock, platform: Platform, *, progress: Progress | None = None, store: Store | None = None
) -> tuple[Wheel, ...]:
    """Every wheel of ``platform``, the runtime's own included, sorted by name. What is in the store is not asked for.

    Raises:
        UserError: the lock does not cover the platform.
        WorldError: an index is unreachable, refuses, or has another file than the lock names.
    """
    packages = lock.platforms.get(platform)
    if packages is None:
        raise UserError(Problem(what=f"{lock.path.name} does not cover {platform}", fix="Run `mcp-pack lock`"))
    shared = store or Store()
    found = {package: _stored(package, shared) for package in packages}
    missing = [package for package, path in found.items() if path is None]
    if missing:
        with (progress or Silent()).stage("fetch"):
            found |= _download(lock, platform, missing, shared)
    wheels = [
        Wheel(package.name, package.version, package.file, package.sha256, path)
        for package, path in found.items()
        if path is not None
    ]
    own = runtime.wheel(shared)
    wheels.append(Wheel(runtime.DISTRIBUTION, own.version, own.filename, own.sha256, own.path))
    return tuple(sorted(wheels, key=lambda wheel: wheel.name))


def kept(lock: Lock, platform: Platform, *, store: Store | None = None) -> bool:
    """Whether :func:`fetch` would find every wheel in the store."""
    shared = store or Store()
    return all(_stored(package, shared) for package in lock.platforms.get(platform, ()))


def _stored(package: LockedPackage, store: Store) -> Path | None:
    entry = store.find(_KIND, package.sha256)
    return entry.folder / entry.files[0].path if entry else None


def _download(
    lock: Lock, platform: Platform, packages: Sequence[LockedPackage], store: Store
) -> dict[LockedPackage, Path | None]:
    from mcp_packager.lock.credentials import Credentials
    from mcp_packager.lock.download import Wanted, download

    addresses = dict(lock.addresses)
    unknown = [package for package in packages if package.sha256 not in addresses]
    if unknown:
        addresses |= _addresses(lock, platform, unknown, store)
    wanted = [Wanted(package.file, package.sha256, addresses[package.sha256]) for package in packages]
    got = download(wanted, store=store, credentials=Credentials(lock.project, os.environ))
    return {package: item.path for package, item in zip(packages, got, strict=True)}


def _addresses(lock: Lock, platform: Platform, packages: Sequence[LockedPackage], store: Store) -> dict[str, str]:
    """Where each file is, asked of the indexes; by hash, else by name where an index gives no hashes."""
    from mcp_packager.lock.resolve import locate, wheels_of

    inputs = read_sources(lock.project)
    pins = [(package.name, package.version) for package in packages]
    found: dict[str, str] = {}
    by_name: dict[str, str] = {}
    for listed in locate(pins, platform, running(), inputs=inputs, project=lock.project, store=store):
        for file, (sha256, url) in wheels_of(listed, lock.project).items():
            if sha256 is None:
                by_name[file] = url
            else:
                found[sha256] = url
    absent = []
    for package in packages:
        if package.sha256 not in found and package.file in by_name:
            found[package.sha256] = by_name[package.file]
        if package.sha256 not in found:
            absent.append(package)
    if absent:
        raise WorldError(
            Problem(
                what=f"The index does not have {package.file} as the lock names it (sha256 {package.sha256})",
                fix="Use an index that mirrors the whole package, or run `mcp-pack lock --upgrade`",
            )
            for package in absent
        )
    return found

"""Making ``mcp-tool.lock`` and keeping it true, with as little asked of the index as can be."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mcp_packager.errors import PackError, Place, Problem, UserError
from mcp_packager.interpreters import Interpreter
from mcp_packager.lock import runtime
from mcp_packager.lock.document import FILE_NAME, Lock, LockedPackage, LockedRuntime, read
from mcp_packager.lock.inputs import Inputs, gather
from mcp_packager.platforms import Platform
from mcp_packager.progress import Progress, Silent
from mcp_packager.store import Store

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest


def ensure(
    manifest: Manifest,
    platforms: Sequence[tuple[Platform, Interpreter]],
    *,
    upgrade: bool = False,
    locked: bool = False,
    extras: tuple[str, ...] = (),
    progress: Progress | None = None,
    store: Store | None = None,
) -> Lock:
    """A lock that covers ``platforms`` and is no older than what it was resolved from.

    A fresh one is read and returned, without asking anybody. Else what is missing or stale is resolved, the
    versions that still fit are kept (unless ``upgrade``), and the file is written when its bytes change.

    Args:
        manifest: names the project and, without a ``pyproject.toml``, the dependencies.
        platforms: each with an interpreter that uv may run, of any version.
        upgrade: take the newest of everything that the requirements allow.
        locked: change nothing; a lock that would have to change is an error.
        extras: extras of the runtime that the manifest needs.
        progress: told what is resolved.
        store: where wheels and the runtime's own wheel lie; the shared one by default.

    Raises:
        UserError: the requirements cannot be met, a package has no wheel, or ``locked`` forbids the change.
        WorldError: an index cannot be reached.
    """
    inputs = gather(manifest, extras=extras)
    wanted = dict(platforms)
    existing = read(manifest.project)
    if existing is not None and not upgrade and _fits(existing, inputs, wanted):
        return existing
    if locked:
        raise UserError(_would_change(manifest, existing, inputs, wanted))
    shared = store or Store()
    with shared.alone(f"lock of {manifest.project.resolve()}"):
        existing = read(manifest.project)  # another process may just have made it
        if existing is not None and not upgrade and _fits(existing, inputs, wanted):
            return existing
        return _renewed(manifest, inputs, existing, wanted, upgrade=upgrade, told=progress or Silent(), store=shared)


def _fits(existing: Lock, inputs: Inputs, wanted: Iterable[Platform]) -> bool:
    return existing.inputs == inputs.digest and all(platform in existing.platforms for platform in wanted)


def _renewed(
    manifest: Manifest,
    inputs: Inputs,
    existing: Lock | None,
    wanted: Mapping[Platform, Interpreter],
    *,
    upgrade: bool,
    told: Progress,
    store: Store,
) -> Lock:
    """Resolve what is missing or stale, and write the file when its bytes change."""
    stale = upgrade or existing is None or existing.inputs != inputs.digest
    with told.stage("resolve"):
        made = _resolve_all(manifest, inputs, existing, wanted, stale=stale, upgrade=upgrade, told=told, store=store)
    if existing is None or made.dump() != existing.dump():
        made.write()
    return made


def _resolve_all(
    manifest: Manifest,
    inputs: Inputs,
    existing: Lock | None,
    wanted: Mapping[Platform, Interpreter],
    *,
    stale: bool,
    upgrade: bool,
    told: Progress,
    store: Store,
) -> Lock:
    kept: dict[Platform, tuple[LockedPackage, ...]] = dict(existing.platforms) if existing else {}
    todo = dict(wanted)
    if stale:
        some = next(iter(wanted.values()), None)
        todo |= {platform: some for platform in kept if platform not in wanted and some is not None}
    else:
        todo = {platform: interpreter for platform, interpreter in wanted.items() if platform not in kept}
    preferences = {} if upgrade or existing is None else _versions(kept.values())
    addresses: dict[str, str] = {}
    result = {} if stale else dict(kept)
    for platform, interpreter in todo.items():
        own = {} if upgrade else _versions([kept.get(platform, ())])
        try:
            packages, found = _one(
                manifest, inputs, platform, interpreter, preferences={**preferences, **own}, store=store
            )
        except PackError as error:
            if platform in wanted:
                raise
            told.note(f"{FILE_NAME} no longer covers {platform}: {error.problems[0].what}")
            continue
        result[platform] = packages
        addresses |= found
        preferences |= _versions([packages])
    return Lock(
        inputs=inputs.digest,
        requirements=inputs.requirements,
        runtime=LockedRuntime(runtime.facts().version, inputs.extras),
        platforms=result,
        images=existing.images if existing else {},
        project=manifest.project,
        addresses=addresses,
    )


def _one(
    manifest: Manifest,
    inputs: Inputs,
    platform: Platform,
    interpreter: Interpreter,
    *,
    preferences: Mapping[str, str],
    store: Store,
) -> tuple[tuple[LockedPackage, ...], dict[str, str]]:
    """One platform's packages, and where their files are."""
    from mcp_packager.lock.credentials import Credentials
    from mcp_packager.lock.download import Wanted, download
    from mcp_packager.lock.resolve import resolve

    found = resolve(inputs, platform, interpreter, project=manifest.project, preferences=preferences, store=store)
    unhashed = [item for item in found if item.sha256 is None]
    wanted = [Wanted(item.file, None, item.url) for item in unhashed]
    got = download(wanted, store=store, credentials=Credentials(manifest.project, os.environ)) if wanted else ()
    learnt = {item.file: wheel.sha256 for item, wheel in zip(unhashed, got, strict=True)}
    known = [replace(item, sha256=item.sha256 or learnt[item.file]) for item in found]
    packages = tuple(LockedPackage(item.name, item.version, item.file, str(item.sha256)) for item in known)
    return packages, {str(item.sha256): item.url for item in known}


def _versions(groups: Iterable[Sequence[LockedPackage]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for packages in groups:
        found |= {package.name: package.version for package in packages}
    return found


def _would_change(manifest: Manifest, existing: Lock | None, inputs: Inputs, wanted: Iterable[Platform]) -> Problem:
    if existing is None:
        what = f"There is no {FILE_NAME}, and --locked forbids making one"
    elif missing := sorted(set(inputs.extras) - set(existing.runtime.extras)):
        what = f"{FILE_NAME} is without the runtime's {', '.join(missing)}, and --locked forbids changing it"
    elif existing.inputs != inputs.digest:
        what = f"{FILE_NAME} is older than what it was resolved from, and --locked forbids changing it"
    else:
        absent = ", ".join(str(platform) for platform in wanted if platform not in existing.platforms)
        what = f"{FILE_NAME} does not cover {absent or 'everything'}, and --locked forbids changing it"
    where = Place(file=str(manifest.project / FILE_NAME))
    return Problem(what=what, fix="Run `mcp-pack lock` and commit the file", where=where)

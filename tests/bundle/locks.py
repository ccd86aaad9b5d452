"""Locks over wheels that are in the store already, so that a test needs no index."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

from mcp_packager.bundle import Bundle, assemble
from mcp_packager.interpreters import Interpreter
from mcp_packager.lock import Lock, LockedPackage, LockedRuntime, Wheel
from mcp_packager.platforms import Platform
from mcp_packager.store import Store, StoredFile
from tests.lock.projects import Project, here

TOOL: Mapping[str, object] = {"schema": 1, "name": "shouting", "version": "1.2.0", "entrypoint": "shouting"}


def shelve(wheel: Path, store: Store) -> Wheel:
    """Put a wheel into the store as a download would."""
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()

    def make(folder: Path) -> Sequence[StoredFile]:
        shutil.copyfile(wheel, folder / wheel.name)
        return [StoredFile(wheel.name, sha256, wheel.stat().st_size)]

    entry = store.folder("wheels", sha256, make)
    name, version, _, _ = parse_wheel_filename(wheel.name)
    return Wheel(canonicalize_name(name), str(version), wheel.name, sha256, entry.folder / wheel.name)


def locked(wheels: Sequence[Path], store: Store, platform: Platform | None = None) -> Lock:
    """A lock over exactly these wheels."""
    shelved = [shelve(wheel, store) for wheel in wheels]
    packages = tuple(sorted(LockedPackage(item.name, item.version, item.filename, item.sha256) for item in shelved))
    return Lock("0" * 64, (), LockedRuntime("0.1.0"), {platform or here()[0]: packages})


def assembled(
    project: Project,
    store: Store,
    wheels: Sequence[Path] = (),
    *,
    platform: Platform | None = None,
    interpreter: Interpreter | None = None,
) -> Bundle:
    """The bundle of a project over exactly these wheels and the runtime."""
    return assemble(
        manifest=project.manifest,
        lock=locked(wheels, store, platform),
        platform=platform or here()[0],
        interpreter=interpreter or here()[1],
        contract_document={"schema": 1, "tools": []},
        tool_document=TOOL,
        store=store,
    )

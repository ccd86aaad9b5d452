"""Bytecode for a bundle: made by the target's own Python, once for each wheel, kept in the store."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mcp_packager.bundle import compiler, listing
from mcp_packager.bundle.archives import Archives
from mcp_packager.bundle.entries import Entry, content
from mcp_packager.bundle.entries import Stored as StoredSource
from mcp_packager.bundle.listing import Row
from mcp_packager.errors import Problem, WorldError
from mcp_packager.interpreters import Interpreter
from mcp_packager.lock import Wheel
from mcp_packager.process import run
from mcp_packager.store import Store, StoredFile, sha256_of, write_file
from mcp_packager.store import Stored as StoredEntry

KIND = "bytecode"
_FORMAT = "3"
_PACKED = "modules.zip"
_OF_TESTS = frozenset({"test", "tests"})
_WORTH_A_PROCESS = 1 << 18
_SECONDS = 1800.0
"""Under emulation the largest libraries take many minutes."""


@dataclass(frozen=True, slots=True)
class Module:
    """A source to compile: its place in the bundle, the name tracebacks show, its bytes."""

    path: str
    shown: str
    source: bytes


def of_wheels(
    wheels: Sequence[tuple[Wheel, tuple[Entry, ...]]], interpreter: Interpreter, store: Store
) -> tuple[Entry, ...]:
    """The compiled modules of wheels. What the store lacks is compiled on all cores at once.

    Those of a wheel are kept as one archive: a file for each would take longer to write than to compress.
    """
    archives = Archives()
    groups = {_key(wheel.sha256, interpreter): entries for wheel, entries in wheels}
    stored = _known(groups, store)
    if len(stored) < len(groups):
        with store.alone(f"bytecode of {interpreter.identity}"):  # builds at once need not all compile the same
            stored = _known(groups, store)
            modules = {key: _modules(entries, "lib", archives) for key, entries in groups.items() if key not in stored}
            made = _compile_all([module for group in modules.values() for module in group], interpreter)
            for key, group in modules.items():
                paths = {cached_path(module.path, interpreter): made.get(module.path) for module in group}
                stored[key] = _keep_packed(key, paths, store)
    folders = [stored[key].folder for key in groups]
    return tuple(entry for folder in folders for entry in listing.entries(folder, folder / _PACKED))


def of_author(entries: Iterable[Entry], interpreter: Interpreter, store: Store) -> tuple[Entry, ...]:
    """The compiled modules of the author's own files, each remembered by its content."""
    modules = {module.path: module for module in _modules(entries, "app")}
    keys = {path: _author_key(module, interpreter) for path, module in modules.items()}
    stored = _known(keys.values(), store)
    made = _compile_all([modules[path] for path, key in keys.items() if key not in stored], interpreter)
    for path, key in keys.items():
        if key not in stored:
            stored[key] = _keep(key, {"module.pyc": made.get(path)}, store)
    return tuple(
        Entry(
            cached_path(path, interpreter), 0o644, file.sha256, file.size, StoredSource(stored[key].folder, file.path)
        )
        for path, key in keys.items()
        for file in stored[key].files
    )


def _known(keys: Iterable[str], store: Store) -> dict[str, StoredEntry]:
    """What the store has of these."""
    found = ((key, store.find(KIND, key)) for key in keys)
    return {key: entry for key, entry in found if entry is not None}


def _keep(key: str, modules: Mapping[str, bytes | None], store: Store) -> StoredEntry:
    """Store the modules that compiled; that none did is worth remembering too."""

    def make(folder: Path) -> Iterable[StoredFile]:
        return [write_file(folder, path, body) for path, body in modules.items() if body is not None]

    return store.folder(KIND, key, make)


def _keep_packed(key: str, modules: Mapping[str, bytes | None], store: Store) -> StoredEntry:
    """The same as one archive and its listing."""

    def make(folder: Path) -> Iterable[StoredFile]:
        rows = []
        with zipfile.ZipFile(folder / _PACKED, "w") as archive:
            for path, body in sorted(modules.items()):
                if body is not None:
                    archive.writestr(zipfile.ZipInfo(path), body)
                    rows.append(Row(path, path, 0o644, hashlib.sha256(body).hexdigest(), len(body)))
        packed = folder / _PACKED
        return [StoredFile(_PACKED, sha256_of(packed), packed.stat().st_size), listing.write(rows, folder)]

    return store.folder(KIND, key, make)


def once(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Each path once: of modules that two wheels bring alike, or by mistake, the first wheel's stays."""
    found: dict[str, Entry] = {}
    for entry in entries:
        found.setdefault(entry.path, entry)
    return tuple(found.values())


def cached_path(path: str, interpreter: Interpreter) -> str:
    """Where Python looks for the bytecode of ``path`` (PEP 3147)."""
    pure = PurePosixPath(path)
    name = f"{pure.stem}.cpython-{interpreter.minor.replace('.', '')}.pyc"
    return (pure.parent / "__pycache__" / name).as_posix()


def _modules(entries: Iterable[Entry], root: str, archives: Archives | None = None) -> tuple[Module, ...]:
    """The sources below ``root``; tracebacks show them relative to their import root, the same everywhere.

    What dependencies are tested with stays source: no server imports it, and it is a third of numpy's bytecode.
    """
    return tuple(
        Module(entry.path, entry.path.removeprefix(f"{root}/"), content(entry, archives))
        for entry in entries
        if entry.path.endswith(".py") and not entry.path.startswith(f"{root}/bin/") and not _of_tests(entry.path, root)
    )


def _of_tests(path: str, root: str) -> bool:
    return root == "lib" and not _OF_TESTS.isdisjoint(path.split("/")[1:-1])


def _key(identity: str, interpreter: Interpreter) -> str:
    return hashlib.sha256(f"{_FORMAT}\0{identity}\0{interpreter.identity}".encode()).hexdigest()


def _author_key(module: Module, interpreter: Interpreter) -> str:
    return _key(f"{module.shown}\0{hashlib.sha256(module.source).hexdigest()}", interpreter)


def _compile_all(modules: Sequence[Module], interpreter: Interpreter) -> dict[str, bytes]:
    """Bundle path to bytecode; sources that this Python does not take are left out."""
    if not modules:
        return {}
    small = sum(len(module.source) for module in modules) < _WORTH_A_PROCESS
    shares = _shares(modules, 1 if small else min(os.cpu_count() or 1, 8))
    made: dict[str, bytes] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(shares))) as pool:
        for part in pool.map(lambda share: in_child(share, interpreter), shares):
            made |= part
    return made


def _shares(modules: Sequence[Module], count: int) -> list[list[Module]]:
    """Split into ``count`` shares of about equal bytes; the result depends on no order."""
    shares: list[list[Module]] = [[] for _ in range(count)]
    loads = [0] * count
    for module in sorted(modules, key=lambda module: (-len(module.source), module.path)):
        least = loads.index(min(loads))
        shares[least].append(module)
        loads[least] += len(module.source) + 2000
    return [share for share in shares if share]


def in_child(share: Sequence[Module], interpreter: Interpreter, *, seed: str = "0") -> dict[str, bytes]:
    """Compile in one process of the interpreter: bundle path to bytecode. ``seed`` is its hash seed.

    Raises:
        WorldError: the interpreter fails.
    """
    request = compiler.pack(
        [[module.shown, len(module.source)] for module in share], [module.source for module in share]
    )
    code = Path(compiler.__file__).read_text(encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = run(
        [interpreter.path, "-S", "-B", "-P", "-c", code],
        stdin=request,
        env=env | {"PYTHONHASHSEED": seed},
        timeout=_SECONDS,
    )
    if not done.ok:
        last = done.stderr.strip().splitlines()[-1:] or ["no output"]
        raise WorldError(
            Problem(
                what=f"{interpreter.path} (Python {interpreter.version}) could not make bytecode: {last[0]}",
                fix="Try another interpreter of that version (MCP_PACK_PYTHONS), or set `bytecode = false`",
            )
        )
    lengths, at = compiler.unpack(done.stdout)
    made: dict[str, bytes] = {}
    for module, length in zip(share, lengths, strict=True):
        if length >= 0:
            made[module.path] = done.stdout[at : at + length]
            at += length
    return made

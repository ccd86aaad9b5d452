"""Putting a bundle together: dependencies, the author's files, bytecode, two documents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mcp_packager.bundle import bytecode, install
from mcp_packager.bundle.author import AuthorFiles, author_files
from mcp_packager.bundle.entries import Bundle, Entry, ProjectFile, inline, make
from mcp_packager.bundle.merge import merged
from mcp_packager.bundle.secrets import scan_secrets
from mcp_packager.errors import Place, Problem, UserError
from mcp_packager.interpreters import Interpreter
from mcp_packager.lock import Lock, fetch
from mcp_packager.platforms import Platform
from mcp_packager.progress import Progress, Silent
from mcp_packager.store import Store

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest


def assemble(
    *,
    manifest: Manifest,
    lock: Lock,
    platform: Platform,
    interpreter: Interpreter | None,
    contract_document: Mapping[str, Any] | None,
    tool_document: Mapping[str, Any],
    author: AuthorFiles | None = None,
    progress: Progress | None = None,
    store: Store | None = None,
) -> Bundle:
    """The exact content of an artifact, the same for the same input wherever and whenever it is made.

    Args:
        manifest: names the project, and whether bytecode is wanted.
        lock: covers ``platform``.
        platform: what the bundle is for.
        interpreter: makes the bytecode; of the platform's minor version. ``None`` with ``bytecode = false``.
        contract_document: ``contract.json``; left out when ``None``.
        tool_document: ``tool.json``.
        author: the author's files where they were chosen before; chosen here otherwise.
        progress: told what takes time.
        store: the shared store by default.

    Raises:
        UserError: files that cannot be packed, secrets, clashes, or no interpreter for the bytecode.
        WorldError: a wheel cannot be fetched.
    """
    shared = store or Store()
    told = progress or Silent()
    compiling = _interpreter(manifest, platform, interpreter)
    wheels = fetch(lock, platform, progress=told, store=shared)
    with told.stage("files"):
        files = author or author_files(manifest)
        problems = scan_secrets(files, manifest.tool.allow, store=shared)
        if problems:
            raise UserError(problems)
        app = tuple(app_entries(files))
    with told.stage("unpack"):
        listed = install.every(wheels, shared)
        library = merged(listed)
    _refuse_shadowed(app, library)
    entries = [*library, *app, inline("tool.json", canonical(tool_document))]
    if contract_document is not None:
        entries.append(inline("contract.json", ready(contract_document)))
    if compiling is not None:
        with told.stage("bytecode"):
            entries += bytecode.once(bytecode.of_wheels(listed, compiling, shared))
            entries += bytecode.of_author(app, compiling, shared)
    return make(entries, platform, compiling.version if compiling else None)


def app_entries(files: AuthorFiles) -> Iterable[Entry]:
    """The author's files below ``app/``, read and hashed."""
    for file in files.files:
        data = file.read()
        digest = hashlib.sha256(data).hexdigest()
        yield Entry(f"app/{file.path}", file.mode, digest, len(data), ProjectFile(file.source))


def ready(document: Mapping[str, Any]) -> bytes:
    """JSON without spaces, keys in the order they have: the answers in a contract are sent as they stand."""
    return (json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def canonical(document: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys and no spaces, in UTF-8, with a closing newline."""
    return (json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def _interpreter(manifest: Manifest, platform: Platform, interpreter: Interpreter | None) -> Interpreter | None:
    if not manifest.tool.bytecode:
        return None
    if interpreter is not None and interpreter.minor == platform.python:
        return interpreter
    raise UserError(
        Problem(
            what=f"Bytecode for Python {platform.python} needs an interpreter of that version",
            fix=(
                f"Install Python {platform.python} or name one in MCP_PACK_PYTHONS, or set `bytecode = false` under "
                "[tool] (slower starts)"
            ),
            where=Place(file=str(manifest.path), key="tool.bytecode"),
            found=f"Python {interpreter.version}" if interpreter else "none",
        )
    )


def _refuse_shadowed(app: Iterable[Entry], library: Iterable[Entry]) -> None:
    """A module of the author's that a dependency hides: ``lib`` comes before ``app`` on the path."""
    taken = _top_names(library)
    problems = []
    for name, regular in sorted(_top_names(app).items()):
        if name in taken and (regular or taken[name]):
            problems.append(
                Problem(
                    what=f"Your {name} has the name of a package that the tool depends on, which would hide it",
                    fix="Rename yours",
                    where=Place(file=name),
                )
            )
    if problems:
        raise UserError(problems)


def _top_names(entries: Iterable[Entry]) -> dict[str, bool]:
    """Importable top-level names, and whether each is more than a part of a namespace package."""
    found: dict[str, bool] = {}
    for entry in entries:
        parts = entry.path.split("/")[1:]
        if len(parts) == 1 and parts[0].endswith(".py"):
            found[parts[0].removesuffix(".py")] = True
        elif len(parts) > 1 and parts[0].isidentifier():
            found[parts[0]] = found.get(parts[0], False) or (len(parts) == 2 and parts[1] == "__init__.py")
    return found

"""Left of the artifact: lock, contract and bundles, with no network but the package index and no credentials."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from mcp_packager import registry
from mcp_packager.bundle import (
    AuthorFiles,
    Bundle,
    Entry,
    assemble,
    author_files,
    bytecode,
    environment,
    environment_key,
    import_root,
    install,
    scan_secrets,
)
from mcp_packager.bundle.assemble import app_entries
from mcp_packager.bundle.tree import write_tree
from mcp_packager.contract import Contract, ExtractRequest, extract
from mcp_packager.contract.headstart import RECORDS, HeadStart, Source, Subject, remember
from mcp_packager.errors import Place, Problem, UserError
from mcp_packager.interpreters import Interpreter, find, host_platform
from mcp_packager.lock import FILE_NAME, Lock, ensure, fetch, kept
from mcp_packager.manifest import Manifest
from mcp_packager.pipeline.project import Aim
from mcp_packager.pipeline.standing import with_bases
from mcp_packager.platforms import Platform
from mcp_packager.progress import Progress
from mcp_packager.store import Store
from mcp_packager.target import auth_problems

EXTRACT_SECONDS = 30.0
"""How long the author's code may take to be imported before it is given up."""

_Pairs = Sequence[tuple[Platform, Interpreter]]


@dataclass(frozen=True)
class Prepared:
    """What every target of one project shares: the lock, the author's files, what clients will see."""

    manifest: Manifest
    lock: Lock
    author: AuthorFiles
    host: tuple[Platform, Interpreter]
    contract: Contract
    platforms: Mapping[str, _Pairs]


def prepare(
    manifest: Manifest,
    aims: Sequence[Aim],
    *,
    locked: bool,
    progress: Progress,
    meanwhile: Callable[[], None] = lambda: None,
    head: HeadStart | None = None,
) -> Prepared:
    """Lock the dependencies and extract the contract; nothing is built yet.

    ``meanwhile`` is done while the contract is read, where that takes a child process; what it raises is lost.
    ``head`` is an extraction that may have been begun already.

    Raises:
        UserError: the manifest asks what a target refuses, or dependencies, files or code are wrong.
        WorldError: the package index does not answer.
    """
    refuse(manifest, aims)
    interpreter = find(manifest.tool.python)
    host = (host_platform(interpreter), interpreter)
    wanted = {aim.name: aim.target.platforms(manifest, aim.options) for aim in aims}
    every = [pair for pairs in wanted.values() for pair in pairs]
    lock = ensure(manifest, [host, *every], locked=locked, extras=manifest.extras, progress=progress)
    lock = with_bases(lock, manifest, aims, locked=locked, progress=progress)
    author = author_files(manifest)

    contract = extract_contract(
        manifest,
        lock,
        host,
        author,
        progress=progress,
        meanwhile=(*_ahead(manifest, lock, author, every), meanwhile),
        head=head,
    )
    return Prepared(manifest, lock, author, host, contract, wanted)


def refuse(manifest: Manifest, aims: Sequence[Aim]) -> None:
    """Nothing, where every target can do what the manifest asks.

    Raises:
        UserError: what they cannot do.
    """
    problems = [problem for aim in aims for problem in _refused(manifest, aim)]
    if problems:
        raise UserError(problems)


def _ahead(
    manifest: Manifest, lock: Lock, author: AuthorFiles, pairs: _Pairs
) -> tuple[Callable[[], object], Callable[[], object]]:
    """What bundles will ask for: the store remembers it, or this process; and whoever asks tells what is wrong.

    Nothing that takes long: who made a mistake in the code is not to wait for wheels.
    """

    def dependencies() -> None:
        entries = tuple(app_entries(author))
        for platform, interpreter in dict(pairs).items() if manifest.tool.bytecode else ():
            if interpreter.minor == platform.python:
                bytecode.of_author(entries, interpreter, Store())
        for platform in dict(pairs):
            if kept(lock, platform):
                for wheel in fetch(lock, platform):
                    install.listed(wheel, Store())

    return dependencies, lambda: scan_secrets(author, manifest.tool.allow)


def _refused(manifest: Manifest, aim: Aim) -> tuple[Problem, ...]:
    """What a target cannot do with this manifest: keys that it refuses, callers it would have to ask, what it finds."""
    return (
        *registry.refusals(aim.target, sorted(manifest.written)),
        *auth_problems(manifest, aim.target.exposure(manifest, aim.options), aim.name),
        *_unlooked(manifest, aim),
        *aim.target.check(manifest, aim.options),
    )


def _unlooked(manifest: Manifest, aim: Aim) -> tuple[Problem, ...]:
    ways = aim.target.about.capabilities.via
    if manifest.via is None or manifest.via in ways:
        return ()
    return (
        Problem(
            f"the target {aim.name} has no way {manifest.via} to look at what it deploys",
            "leave via away, or set it in the stage that is deployed where there is such a way",
            Place(str(manifest.path), key="verify.via"),
            expected=f"one of {', '.join(sorted(ways))}",
            found=f'"{manifest.via}"',
        ),
    )


def bundles(prepared: Prepared, aim: Aim, *, progress: Progress) -> dict[Platform, Bundle]:
    """The bundle of each platform that a target asks for."""
    manifest = prepared.manifest
    return {
        platform: assemble(
            manifest=manifest,
            lock=prepared.lock,
            platform=platform,
            interpreter=interpreter,
            contract_document=prepared.contract.document,
            tool_document=manifest.tool_document(),
            author=prepared.author,
            progress=progress,
        )
        for platform, interpreter in prepared.platforms[aim.name]
    }


def extract_contract(
    manifest: Manifest,
    lock: Lock,
    host: tuple[Platform, Interpreter],
    author: AuthorFiles,
    *,
    progress: Progress,
    meanwhile: Sequence[Callable[[], object]] = (),
    head: HeadStart | None = None,
) -> Contract:
    """What a client will be shown, from the author's code in a child process; remembered by all that it depends on.

    ``meanwhile`` is done side by side while the child works, and what it raises is lost: it must be something that is
    done again. ``head`` is an extraction that may have been begun already.
    """
    platform, interpreter = host
    store, begun = Store(), head or HeadStart()
    entries = tuple(app_entries(author))
    subject = Subject(
        library=environment_key(lock, platform, interpreter=interpreter, progress=progress, store=store),
        app=[(entry.path, entry.sha256) for entry in entries],
        tool=manifest.tool_document(),
        env=dict(manifest.contract_env),
        secrets=tuple(manifest.code_secrets),
        python=interpreter.identity,
    )
    key = subject.key
    known = store.record(RECORDS, key)
    if isinstance(known, dict):
        return Contract.from_document(json.loads(known["text"]))
    with ThreadPoolExecutor() as beside:
        for each in meanwhile:
            beside.submit(each)
        request = ExtractRequest(
            python=interpreter.path,
            lib=environment(lock, platform, interpreter=interpreter, progress=progress, store=store),
            app=Path("app"),
            tool=subject.tool,
            env=subject.env,
            secrets=subject.secrets,
            limit=EXTRACT_SECONDS,
            shown=import_root(manifest.project),
        )
        with progress.stage("contract"):
            contract = _placed(manifest, lambda: begun.contract(key, request) or _extracted(request, entries, store))
    # As text: the answers inside are ready for the wire, to the order of their keys.
    store.remember(RECORDS, key, {"text": json.dumps(contract.document, ensure_ascii=False)})
    if key != begun.key:
        files = [Source(f"app/{file.path}", file.source, file.mode) for file in author.files]
        judged = (manifest.path, manifest.project / "pyproject.toml", manifest.project / FILE_NAME)
        remember(manifest.project, subject, request, files, judged, store)
    return contract


def _extracted(request: ExtractRequest, entries: Iterable[Entry], store: Store) -> Contract:
    """The contract of the author's files as they are in a folder of their own."""
    with store.scratch() as folder:
        write_tree(entries, folder)
        (folder / "app").mkdir(exist_ok=True)
        return extract(replace(request, app=folder / "app"))


def _placed(manifest: Manifest, ask: Callable[[], Contract]) -> Contract:
    """The contract; a problem that has no place in the code is one of the entry point."""
    try:
        return ask()
    except UserError as error:
        entrypoint = Place(file=str(manifest.path), key="tool.entrypoint")
        raise UserError(
            _of_the_server(manifest, problem if str(problem.where) else replace(problem, where=entrypoint))
            for problem in error.problems
        ) from None


def _of_the_server(manifest: Manifest, problem: Problem) -> Problem:
    """To the code, a key that callers show is not declared; to the author it is, so the reason is told in its place."""
    head, needs, rest = problem.what.partition(" needs the secret ")
    name = rest.partition(",")[0]
    if not needs or name not in manifest.server_secrets:
        return problem
    return replace(
        problem,
        what=f"{head} needs the secret {name}, which is a key that callers show: the code does not get it",
        fix=f"take {name} out of the decorator, or give callers a key of their own under [serve.auth]",
    )

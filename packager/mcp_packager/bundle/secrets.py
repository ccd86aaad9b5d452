"""Secrets in the author's files: by name, and by what a scanner finds in them. Values are never shown or kept."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from mcp_packager.bundle import scanner
from mcp_packager.bundle.author import AuthorFile, AuthorFiles
from mcp_packager.bundle.patterns import matches
from mcp_packager.bundle.secret_names import secret_by_name
from mcp_packager.errors import Place, Problem, WorldError
from mcp_packager.process import run
from mcp_packager.store import Store

_RULES = "1"
_LARGEST_SCANNED = 1 << 20
_RAW: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY( BLOCK)?-----"), "Private Key"),
    (re.compile(rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), "AWS Access Key"),
    (re.compile(rb"\bgh[pousr]_[A-Za-z0-9]{36,}\b"), "GitHub Token"),
    (re.compile(rb"\bxox[abprs]-[A-Za-z0-9-]{10,}"), "Slack Token"),
)
"""What is looked for in binary and very large files, where reading line by line makes no sense or takes minutes."""


class Allowed(Protocol):
    """An exception of the manifest (``[[tool.allow]]``)."""

    @property
    def path(self) -> str:
        """Path or pattern from the project folder."""
        ...

    @property
    def reason(self) -> str:
        """Why the file may be in every artifact."""
        ...


def scan_secrets(files: AuthorFiles, allow: Iterable[Allowed], *, store: Store | None = None) -> tuple[Problem, ...]:
    """One problem for each secret: path, line and kind, never the value. Answers are remembered by content."""
    patterns = [entry.path for entry in allow]
    judged = [file for file in files.files if not matches(file.shown, patterns)]
    # A link may have a harmless name of its own.
    named = {file: secret_by_name(file.shown) or secret_by_name(file.source.name) for file in judged}
    found = _found([file for file in judged if named[file] is None], store or Store())
    problems: list[Problem] = []
    for file in judged:
        if what := named[file]:
            problems.append(_problem(file, None, f"looks like {what}"))
        else:
            problems += [_problem(file, line, f"holds what looks like a secret ({kind})") for line, kind in found[file]]
    return tuple(problems)


def _found(files: Iterable[AuthorFile], store: Store) -> dict[AuthorFile, Sequence[tuple[int, str]]]:
    """Line and kind of each secret in each file."""
    found: dict[AuthorFile, Sequence[tuple[int, str]]] = {}
    unknown: dict[AuthorFile, tuple[str, list[tuple[int, str]]]] = {}
    for file in files:
        data = file.read()
        identity = f"{_RULES}\0{_scanner_version()}\0{file.source.name}\0{hashlib.sha256(data).hexdigest()}"
        key = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()
        if known := store.record("scans", key):
            found[file] = [(int(line), str(kind)) for line, kind in known["found"]]
        elif len(data) > _LARGEST_SCANNED or b"\0" in data[:8192]:
            found[file] = _raw(data)
            store.remember("scans", key, {"found": found[file]})
        else:
            unknown[file] = key, _raw(data)
    answers = _scanned([file.source for file in unknown])
    for (file, (key, raw)), answer in zip(unknown.items(), answers, strict=True):
        found[file] = sorted({*raw, *answer})
        store.remember("scans", key, {"found": found[file]})
    return found


def _scanned(files: Sequence[Path]) -> list[list[tuple[int, str]]]:
    """What the scanner finds, in a process of its own: loading it takes time that this one has other uses for.

    Raises:
        WorldError: it fails.
    """
    if not files:
        return []
    code = Path(scanner.__file__).read_text(encoding="utf-8")
    done = run([sys.executable, "-P", "-c", code], stdin=json.dumps([str(file) for file in files]).encode())
    if not done.ok:
        # What it printed is not shown: a line of somebody's file may be in it.
        raise WorldError(
            Problem(f"looking for secrets ended with exit code {done.code}", "try again, or install mcp-packager anew")
        )
    return [[(int(line), str(kind)) for line, kind in answer] for answer in json.loads(done.stdout)]


def _raw(data: bytes) -> list[tuple[int, str]]:
    return [(data.count(b"\n", 0, match.start()) + 1, kind) for rule, kind in _RAW for match in rule.finditer(data)]


@cache
def _scanner_version() -> str:
    return importlib.metadata.version("detect-secrets")


def _problem(file: AuthorFile, line: int | None, what: str) -> Problem:
    return Problem(
        what=f"{file.shown} {what}, and would be in every artifact",
        fix=(
            f'Take it out and declare it under [secrets]; or leave the file out: exclude = ["{file.shown}"]; or, if it '
            f'is none: [[tool.allow]] path = "{file.shown}", reason = "…"'
        ),
        where=Place(file=file.shown, line=line),
    )

"""The files of a deployment's bundles, held against the lists that were written with them."""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mcp_packager.bundle import Bundle
from mcp_packager.files import write_atomic
from mcp_packager.store import EPOCH, sha256_of

_SCHEMA: Final = 1
_SHOWN: Final = 2
_MADE: Final = EPOCH * 1_000_000_000
"""The time of every file of a bundle, in nanoseconds: whoever writes into one changes it."""


def listing(folder: Path) -> Path:
    """Where the list of a bundle's files is: beside it."""
    return folder.with_name(f"{folder.name}.json")


def write_listing(bundle: Bundle, folder: Path) -> None:
    """Note what was just written as ``folder``, and that it was written anew."""
    document = {
        "schema": _SCHEMA,
        "made": secrets.token_hex(8),
        "files": [[entry.path, entry.size, entry.sha256] for entry in bundle.entries],
    }
    write_atomic(listing(folder), json.dumps(document).encode(), mode=0o600)


class Trees:
    """The bundles on disk. A bundle is thousands of files: each is looked at once, until :meth:`forget`."""

    def __init__(self) -> None:
        self._damage: dict[Path, str] = {}

    def forget(self) -> None:
        """Look again from now on."""
        self._damage.clear()

    def made(self, folder: Path) -> str | None:
        """What tells this writing of the bundle from an earlier one; ``None`` where nothing was noted."""
        document = _document(folder)
        return None if document is None else document["made"]

    def damage(self, folder: Path) -> str:
        """What of the bundle is not as it was written, in words; empty where all of it is.

        A file of the right size and time is believed; any other is read.
        """
        if folder not in self._damage:
            self._damage[folder] = _words(list(_differing(folder)))
        return self._damage[folder]


def _differing(folder: Path) -> Iterator[str]:
    document = _document(folder)
    if document is None:
        yield "the list of its files missing"
        return
    there = dict(_files(str(folder), ""))
    for path, size, digest in document["files"]:
        found = there.pop(path, None)
        if found is None:
            yield f"{path} missing"
        elif not _is(folder / path, found, size, digest):
            yield f"{path} changed"
    yield from (f"{path} added" for path in sorted(there))


def _is(path: Path, found: os.stat_result, size: int, digest: str) -> bool:
    if not stat.S_ISREG(found.st_mode) or found.st_size != size:
        return False
    if found.st_mtime_ns == _MADE:
        return True
    try:
        return sha256_of(path) == digest
    except OSError:
        return False


def _files(folder: str, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry.stat(follow_symlinks=False)


def _document(folder: Path) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(listing(folder).read_bytes())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and document.get("schema") == _SCHEMA else None


def _words(differing: list[str]) -> str:
    more = len(differing) - _SHOWN
    return ", ".join(differing[:_SHOWN]) + (f" and {more} more" if more > 0 else "")

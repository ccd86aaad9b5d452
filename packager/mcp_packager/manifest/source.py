"""From a folder to TOML data: everything that can be wrong with the file itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import tomli

from mcp_packager.errors import Place, Problem, UserError

FILE_NAME: Final = "mcp-tool.toml"
LARGEST: Final = 1 << 20
"""Bytes. A manifest of a thousand times the usual size is not a manifest."""

DEEPEST: Final = 32
"""Levels of tables and arrays."""


def read(path: Path, *, empty: bool = False) -> str:
    """The text of a manifest, or of another TOML file that may be ``empty``, with line feeds alone as line ends.

    Raises:
        UserError: there is no such file, it is no regular file, is too large, is empty or is not UTF-8.
    """
    data = _bytes(path)
    if not data.strip() and not empty:
        raise _wrong(path, "the file is empty", 'Write at least [tool], name = "…" and entrypoint = "…"')
    if data.startswith(b"\xef\xbb\xbf"):
        raise _wrong(path, "the file starts with a byte order mark", "Save it as UTF-8 without BOM", line=1, column=1)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        raise _wrong(
            path,
            f"the file is not UTF-8 (byte 0x{data[error.start]:02x})",
            "Save it as UTF-8",
            line=before.count(b"\n") + 1,
            column=len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1,
        ) from None
    return text.replace("\r\n", "\n")


def parse(text: str, path: Path) -> dict[str, Any]:
    """The data of a TOML text.

    Raises:
        UserError: it is not TOML (with line and column), or is nested beyond reason.
    """
    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise _wrong(
            path,
            f"not valid TOML: {error.msg[:1].lower()}{error.msg[1:]}",
            "Mend the syntax at this place; strings need quotes, each key stands once",
            line=error.lineno,
            column=error.colno,
        ) from None
    except RecursionError:
        raise _too_deep(path) from None
    except (ValueError, OverflowError) as error:
        raise _wrong(path, f"not valid TOML: {error}", "Mend the value; dates and numbers must exist") from None
    if _depth(data) > DEEPEST:
        raise _too_deep(path)
    return data


def _bytes(path: Path) -> bytes:
    try:
        # O_NONBLOCK: a FIFO without a writer must not hang the open.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise _missing(path) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the path is not valid"
        raise _wrong(path, f"the file cannot be read: {reason}", "Make it a readable file") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _wrong(path, "this is not a regular file", "Put a file with the manifest there")
    with os.fdopen(handle, "rb") as file:
        try:
            data = file.read(LARGEST + 1)
        except OSError as error:
            raise _wrong(path, f"the file cannot be read: {error.strerror}", "Make it a readable file") from None
    if len(data) > LARGEST:
        raise _wrong(
            path,
            f"the file is larger than {LARGEST >> 20} MiB",
            "Keep data out of the manifest; put it into the project",
        )
    return data


def _depth(data: Mapping[str, Any]) -> int:
    deepest = 0
    waiting: list[tuple[int, Any]] = [(1, data)]
    while waiting:
        level, item = waiting.pop()
        deepest = max(deepest, level)
        if deepest > DEEPEST:
            return deepest
        children = item.values() if isinstance(item, Mapping) else item
        waiting.extend((level + 1, child) for child in children if isinstance(child, (dict, list)))
    return deepest


def _missing(path: Path) -> UserError:
    folder = path.parent
    if not folder.exists():
        return _wrong(folder, "there is no such folder", "Name the tool project's folder with --project")
    return _wrong(
        path,
        f"there is no {FILE_NAME} here",
        "Change to the tool project's folder, name it with --project, or start one with: mcp-pack new NAME",
    )


def _too_deep(path: Path) -> UserError:
    return _wrong(path, f"nested deeper than {DEEPEST} levels", "Flatten the tables and arrays")


def _wrong(path: Path, what: str, fix: str, *, line: int | None = None, column: int | None = None) -> UserError:
    return UserError(Problem(what=what, fix=fix, where=Place(file=str(path), line=line, column=column)))

"""Keys made on this machine: random bytes in a file of one name each, which is the key's version."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from mcp_packager.files import remove_tree, write_atomic
from mcp_packager.target import Value
from mcp_targets.local.places import inside

PROBE: Final = "probe"
"""The name of the key that the deploy's own probe tokens are signed with."""

_VERSION_BYTES: Final = 8


def make_key(folder: Path, size: int) -> None:
    """Have a key of ``size`` bytes in ``folder``, as hexadecimal digits; one that is there is kept."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    good = [path for path in inside(folder) if _size(path) == size]
    if not good:
        good = [folder / secrets.token_hex(_VERSION_BYTES)]
        write_atomic(good[0], secrets.token_hex(size).encode(), mode=0o600)
    # A new version is a new path, so that whoever reads it is started again; nothing else belongs here.
    for other in folder.iterdir():
        if other != good[0]:
            remove_tree(other) if other.is_dir() else other.unlink()


def key_fields(folder: Path) -> dict[str, Value]:
    """A key without its value: its size, which version it is, and where."""
    path = next(iter(inside(folder)), None)
    return {
        "bytes": None if path is None else _size(path),
        "made": None if path is None else path.name,
        "path": None if path is None else str(path),
    }


def read_key(folder: Path) -> bytes | None:
    """The key's bytes; ``None`` where it is not made yet, or is no key any more."""
    path = next(iter(inside(folder)), None)
    return None if path is None else _value(path)


def _size(path: Path) -> int | None:
    value = _value(path)
    return None if value is None else len(value)


def _value(path: Path) -> bytes | None:
    try:
        return bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None

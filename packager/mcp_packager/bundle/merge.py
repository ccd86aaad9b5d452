"""Many wheels in one folder: the same path twice is fine only with the same content."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_packager.bundle.entries import Entry
from mcp_packager.errors import Problem, UserError
from mcp_packager.lock import Wheel

_LEFTOVERS = ("tests", "test", "docs", "doc", "examples", "benchmarks")
"""Top-level folders that wheels ship by mistake; nobody imports them, the first one stays."""


def merged(wheels: Sequence[tuple[Wheel, tuple[Entry, ...]]]) -> tuple[Entry, ...]:
    """All entries, each path once, in the order of the wheels' names.

    Raises:
        UserError: two packages hold the same path with different content; one problem for each pair.
    """
    found: dict[str, tuple[Entry, Wheel]] = {}
    clashes: dict[tuple[str, str], str] = {}
    for wheel, entries in wheels:
        for entry in entries:
            first = found.setdefault(entry.path, (entry, wheel))
            if first[0].sha256 != entry.sha256 and not _leftover(entry.path):
                clashes.setdefault((first[1].name, wheel.name), entry.path)
    if clashes:
        raise UserError(
            Problem(
                what=f"{one} and {other} both bring {path.removeprefix('lib/')}, with different content",
                fix=f"Depend on only one of {one} and {other}",
            )
            for (one, other), path in sorted(clashes.items())
        )
    return tuple(entry for entry, _ in found.values())


def _leftover(path: str) -> bool:
    parts = path.split("/")
    return parts[1] in _LEFTOVERS or (len(parts) == 2 and not parts[1].endswith((".py", ".so", ".pth")))

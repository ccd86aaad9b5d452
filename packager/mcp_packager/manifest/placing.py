"""Where a finding stands in its file, and the problem that a person then reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcp_packager.errors import Place, Problem
from mcp_packager.manifest import findings, positions, shape
from mcp_packager.manifest.findings import Finding


def holds(data: Any, path: findings.Path) -> bool:
    """Whether TOML data has something under a path that is not empty."""
    for part in path:
        data = shape.step(data, part)
        if data is shape.ABSENT:
            return False
    return bool(path)


def place(finding: Finding, spots: Mapping[positions.Path, positions.Spot], text: str, path: Path) -> Place:
    """File, line and column of the finding, or of the nearest table above it that is written."""
    spot = None
    for length in range(len(finding.path), 0, -1):
        spot = spots.get(finding.path[:length])
        if spot is not None:
            on_key = finding.on_key or length < len(finding.path)
            line, column = positions.line_and_column(text, spot.key if on_key else spot.value)
            return Place(str(path), line, column, dotted(finding.path))
    return Place(str(path), key=dotted(finding.path) or None)


def problem(finding: Finding, place: Place) -> Problem:
    """The finding as a problem, fit to be shown."""
    return Problem(
        what=findings.printable(finding.what),
        fix=findings.printable(finding.fix),
        where=place,
        expected=None if finding.expected is None else findings.printable(finding.expected),
        found=None if finding.found is None else findings.printable(finding.found),
    )


def dotted(path: findings.Path) -> str:
    """A path as TOML spells it, with array indexes: ``verify.call[0].tool``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        plain = bool(part) and all(char.isascii() and (char.isalnum() or char in "_-") for char in part)
        name = part if plain else f'"{part}"'
        text += f".{name}" if text else name
    return findings.printable(text)

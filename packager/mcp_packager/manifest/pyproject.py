"""What ``[tool]`` leaves to ``pyproject.toml``: version, description and the Python requirement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mcp_packager.errors import Place, Problem, UserError
from mcp_packager.manifest import positions, source

FILE_NAME: Final = "pyproject.toml"
_KEYS: Final = {"version": "version", "description": "description", "python": "requires-python"}


@dataclass(frozen=True, slots=True)
class Borrowed:
    """Values for keys that the manifest leaves out, and what was wrong with the file they were sought in."""

    values: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    path: Path | None = None
    text: str = ""

    def place(self, key: str) -> Place:
        """Where a borrowed value stands."""
        theirs = _KEYS[key]
        spot = positions.scan(self.text).get(("project", theirs))
        line, column = positions.line_and_column(self.text, spot.value) if spot else (None, None)
        return Place(str(self.path), line, column, f"project.{theirs}")


def borrow(project: Path, tool: Any) -> Borrowed:
    """Read what ``tool`` leaves out from the project's ``pyproject.toml``, where there is one.

    Only what the author left out is looked for; a dynamic version is left alone.
    """
    path = project / FILE_NAME
    wanted = [key for key in _KEYS if not isinstance(tool, dict) or key not in tool]
    if not wanted or not path.exists():
        return Borrowed()
    try:
        text = source.read(path, empty=True)
        data = source.parse(text, path).get("project")
    except UserError as error:
        return Borrowed(problems=error.problems)
    table = data if isinstance(data, dict) else {}
    values = {key: table[_KEYS[key]] for key in wanted if isinstance(table.get(_KEYS[key]), str)}
    return Borrowed(values=values, path=path, text=text)

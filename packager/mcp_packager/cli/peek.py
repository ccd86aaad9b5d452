"""A quick, forgiving look into ``mcp-tool.toml`` for completion and questions; judging it is the manifest's job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "mcp-tool.toml"
_MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What could be read; empty where the file is missing or broken."""

    name: str | None = None
    targets: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()


def peek(project: Path) -> Glimpse:
    """Name, targets and stages of the project in ``project``. Never raises."""
    import tomli

    try:
        with (project / MANIFEST).open("rb") as stream:
            content = tomli.loads(stream.read(_MOST_BYTES).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return Glimpse()
    tool = content.get("tool")
    name = tool.get("name") if isinstance(tool, Mapping) else None
    return Glimpse(
        name=name if isinstance(name, str) else None,
        targets=_tables(content.get("target")),
        stages=_tables(content.get("stage")),
    )


def installed_targets() -> tuple[str, ...]:
    """Names of the installed targets, from their entry points; none is imported."""
    from importlib.metadata import entry_points

    return tuple(sorted({point.name for point in entry_points(group="mcp_packager.targets")}))


def _tables(section: object) -> tuple[str, ...]:
    return tuple(section) if isinstance(section, Mapping) else ()

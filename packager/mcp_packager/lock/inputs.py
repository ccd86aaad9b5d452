"""What a lock is resolved from: the author's dependencies, their own ``uv.lock``, the runtime."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_packager.errors import Place, Problem, UserError
from mcp_packager.lock import runtime

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

_RESOLVING_SETTINGS = (
    "constraint-dependencies",
    "exclude-dependencies",
    "exclude-newer",
    "index-strategy",
    "override-dependencies",
    "prerelease",
    "resolution",
)
"""Settings of ``[tool.uv]`` that change what is resolved and hold no address."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that decides a resolution.

    ``sources`` and ``indexes`` are ``[tool.uv.sources]`` and ``[[tool.uv.index]]`` as they stand; addresses in
    them are handed to uv and go nowhere else. ``origin`` is the file that names the dependencies.
    """

    requirements: tuple[str, ...]
    constraints: tuple[str, ...]
    extras: tuple[str, ...]
    origin: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Any] = field(default_factory=dict)
    indexes: tuple[Mapping[str, Any], ...] = ()

    @property
    def digest(self) -> str:
        """A SHA-256 that changes when any of it does, the installed runtime included."""
        known = runtime.facts()
        document = {
            "requirements": sorted(self.requirements),
            "constraints": sorted(self.constraints),
            "extras": sorted(self.extras),
            "settings": self.settings,
            "indexes": {name: source.get("index") for name, source in self.sources.items() if isinstance(source, dict)},
            "runtime": [known.version, *known.requires],
        }
        return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()


def gather(manifest: Manifest, *, extras: tuple[str, ...] = ()) -> Inputs:
    """Read ``pyproject.toml`` (else the manifest) and ``uv.lock``.

    Raises:
        UserError: the dependencies are dynamic or stand in no list of strings, or a file is not TOML.
    """
    project = manifest.project
    pyproject = _toml(project / "pyproject.toml")
    table = pyproject.get("project")
    if isinstance(table, dict):
        origin = project / "pyproject.toml"
        if "dependencies" in (table.get("dynamic") or ()):
            raise UserError(
                Problem(
                    what="The dependencies are dynamic, so only a build would tell them",
                    fix="List them under [project] dependencies",
                    where=Place(file=str(origin), key="project.dynamic"),
                )
            )
        requirements = _strings(table.get("dependencies", []), origin, "project.dependencies")
    else:
        origin = manifest.path
        requirements = _strings(list(manifest.tool.dependencies), origin, "tool.dependencies")
    settings = _uv_table(pyproject)
    return Inputs(
        requirements=requirements,
        constraints=_from_uv_lock(project / "uv.lock"),
        extras=tuple(sorted(set(extras))),
        origin=origin,
        settings={key: settings[key] for key in _RESOLVING_SETTINGS if key in settings},
        sources=settings.get("sources") or {},
        indexes=tuple(settings.get("index") or ()),
    )


def read_sources(project: Path) -> Inputs:
    """Only where packages come from: the indexes and sources of ``pyproject.toml``, no requirements."""
    origin = project / "pyproject.toml"
    settings = _uv_table(_toml(origin))
    return Inputs((), (), (), origin, sources=settings.get("sources") or {}, indexes=tuple(settings.get("index") or ()))


def _uv_table(pyproject: Mapping[str, Any]) -> Mapping[str, Any]:
    tool = pyproject.get("tool")
    table = tool.get("uv") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else {}


def _strings(value: Any, origin: Path, key: str) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise UserError(
        Problem(
            what="The dependencies are not a list of strings",
            fix='Write them as ["httpx>=0.28", "numpy"]',
            where=Place(file=str(origin), key=key),
        )
    )


def _from_uv_lock(path: Path) -> tuple[str, ...]:
    """``name==version`` for what the author's own lock took from an index; with markers where it forked."""
    packages = _toml(path).get("package") or []
    found = []
    for package in packages if isinstance(packages, list) else []:
        source = package.get("source")
        name, version = package.get("name"), package.get("version")
        if name == runtime.DISTRIBUTION or not name or not version or not isinstance(source, dict):
            continue
        if "registry" not in source:
            continue
        markers = package.get("resolution-markers") or []
        condition = " or ".join(f"({marker})" for marker in markers)
        found.append(f"{name}=={version}" + (f" ; {condition}" if condition else ""))
    return tuple(sorted(found))


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            Problem(what=f"{path.name} is not TOML: {error}", fix="Mend the file", where=Place(file=str(path)))
        ) from error
    except OSError as error:
        raise UserError(
            Problem(
                what=f"{path.name} cannot be read: {error.strerror}",
                fix="Let yourself read it",
                where=Place(file=str(path)),
            )
        ) from error

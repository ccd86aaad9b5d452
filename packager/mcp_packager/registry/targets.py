"""Targets by name: found by entry point, loaded only when named."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.errors import Place, Problem, UserError, WorldError
from mcp_packager.target import TARGET_API, Target

if TYPE_CHECKING:
    from pydantic import BaseModel

GROUP: Final = "mcp_packager.targets"


def names() -> tuple[str, ...]:
    """Every target that is installed, sorted. Loads none of them."""
    return tuple(sorted({point.name for point in _points(tuple(sys.path))}))


@lru_cache(maxsize=8)
def _points(_: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Every registered target, read once for a path of imports: it takes 30 ms, and commands ask many times."""
    return tuple(entry_points(group=GROUP))


def load(name: str) -> Target:
    """The target of that name.

    Raises:
        UserError: no such target is installed, or two distributions bring one of that name.
        WorldError: it is installed and cannot be loaded, or was made for another version of the target SDK.
    """
    points = tuple(point for point in _points(tuple(sys.path)) if point.name == name)
    if not points:
        raise UserError(_unknown(name))
    if len({point.value for point in points}) > 1:
        found = ", ".join(sorted(f"{point.value} ({_origin(point)})" for point in points))
        raise UserError(Problem(f"two distributions bring a target {name!r}", "uninstall one of them", found=found))
    return _checked(name, points[0], _import(name, points[0]))


def load_all(wanted: Iterable[str] | None = None) -> Mapping[str, Target]:
    """The named targets, or every one that is installed."""
    return {name: load(name) for name in (names() if wanted is None else wanted)}


def options(wanted: Iterable[str] | None = None) -> Mapping[str, type[BaseModel]]:
    """The options model of each target: what ``[target.NAME]`` holds. Names that are not installed are left out."""
    installed = set(names())
    chosen = installed if wanted is None else installed & set(wanted)
    return {name: load(name).about.options for name in sorted(chosen)}


def _unknown(name: str) -> Problem:
    known = names()
    near = get_close_matches(name, known, n=1)
    fix = f"write {near[0]}" if near else f"use one of {', '.join(known)}, or install the distribution that brings it"
    return Problem(f"no target {name!r} is installed", fix, Place(key=f"target.{name}"))


def _import(name: str, point: EntryPoint) -> Any:
    try:
        return point.load()
    except ModuleNotFoundError as error:
        missing = error.name or "a module"
        if point.module == missing or point.module.startswith(f"{missing}."):
            raise WorldError(
                Problem(
                    f"target {name!r} is registered by {_origin(point)}, and its module {missing} is not there",
                    f"install {_origin(point)} again, or uninstall it",
                )
            ) from error
        raise WorldError(
            Problem(
                f"target {name!r} needs the module {missing}, which is not installed",
                f"install what {_origin(point)} depends on",
            )
        ) from error
    except Exception as error:
        raise WorldError(
            Problem(
                f"target {name!r} of {_origin(point)} cannot be loaded: {type(error).__name__}: {error}",
                f"mend or uninstall {_origin(point)}",
            )
        ) from error


def _checked(name: str, point: EntryPoint, target: Any) -> Target:
    about = getattr(target, "about", None)
    api = getattr(about, "api", None)
    if api != TARGET_API:
        raise WorldError(
            Problem(
                f"target {name!r} of {_origin(point)} was made for another version of the target SDK",
                f"install versions of mcp-packager and {_origin(point)} that fit each other",
                expected=f"TARGET_API {TARGET_API}",
                found=f"TARGET_API {api}",
            )
        )
    if about is None or about.name != name:
        raise WorldError(
            Problem(
                f"{_origin(point)} registers a target {name!r} that calls itself {getattr(about, 'name', None)!r}",
                "mend its entry point",
            )
        )
    loaded: Target = target
    return loaded


def _origin(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value

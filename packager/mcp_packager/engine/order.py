"""The order in which resources are made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter

from mcp_packager.target import Key, Phase, Resource

_PHASES = tuple(Phase)


class PlanError(ValueError):
    """A target's desired state is not sound: a fault of the target's code, not of its user."""


def in_order(resources: Sequence[Resource]) -> tuple[Resource, ...]:
    """The resources sorted by phase, and within a phase so that each comes after what it needs.

    Raises:
        PlanError: two resources share a key; a needed one is missing or comes in a later phase; needs go in a circle.
    """
    by_key: dict[Key, Resource] = {}
    for resource in resources:
        if resource.key in by_key:
            raise PlanError(f"{resource.key} is desired twice")
        by_key[resource.key] = resource
    for resource in resources:
        for need in sorted(resource.needs):
            if need not in by_key:
                raise PlanError(f"{resource.key} needs {need}, which nothing makes")
            if _PHASES.index(by_key[need].phase) > _PHASES.index(resource.phase):
                raise PlanError(f"{resource.key} needs {need}, which is made in a later phase")
    try:
        keys = list(TopologicalSorter({resource.key: sorted(resource.needs) for resource in resources}).static_order())
    except CycleError as error:
        raise PlanError(f"needs go in a circle: {' → '.join(map(str, error.args[1]))}") from error
    return tuple(sorted((by_key[key] for key in keys), key=lambda resource: _PHASES.index(resource.phase)))


def waves(keys: Iterable[Key], kinds: Sequence[str]) -> tuple[tuple[Key, ...], ...]:
    """Keys to delete, in groups that may go at once: the kinds in reverse order, unknown kinds first."""
    place = {kind: index for index, kind in enumerate(kinds)}
    groups: dict[int, list[Key]] = {}
    for key in keys:
        groups.setdefault(place.get(key.kind, len(kinds)), []).append(key)
    return tuple(tuple(sorted(groups[index])) for index in sorted(groups, reverse=True))

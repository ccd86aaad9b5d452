"""Whether what lets clients in has room at the cluster's doors: the plan against every route that is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mcp_packager.errors import Problem, UserError
from mcp_packager.target import Phase, Plan
from mcp_targets._kube.client import ApiError
from mcp_targets._kube.kinds import BY_NAME, Sort
from mcp_targets._kube.objects import Objects
from mcp_targets._kube.projection import OBJECT
from mcp_targets._kube.together import DOORS, occupied

_FORBIDDEN = 403


def look(who: str, plan: Plan, objects: Objects, *, ingresses: bool) -> Iterator[str]:
    """Refuse hosts and paths that something else of the cluster has; the lines say what could not be looked at.

    Args:
        who: the deployment, for people.
        plan: what is to be done. Where it changes nothing that lets clients in, nothing is asked.
        objects: the way to the cluster.
        ingresses: whether Ingresses are judged here. A controller with groups of them has a judge of its own.

    Raises:
        UserError: a host and path is claimed twice; each problem names both.
    """
    changed = {change.key.kind for change in plan.changes if change.phase is not Phase.RETIRE}
    problems: list[Problem] = []
    for kind in DOORS if ingresses else DOORS[1:]:
        sort = BY_NAME[kind]
        if kind not in changed or not objects.installed(sort):
            continue
        wanted = [
            change.resource.fields[OBJECT]
            for change in (*plan.changes, *plan.unchanged)
            if change.resource is not None and change.key.kind == kind
        ]
        there, unseen = _everybodys(objects, sort)
        problems += occupied(who, wanted, there)
        if unseen:
            yield (
                f"whether another {sort.kind} has the same host and path was looked for in {objects.namespace} alone: "
                f"the {sort.plural} of other namespaces may not be listed"
            )
    if problems:
        raise UserError(problems)


def _everybodys(objects: Objects, sort: Sort) -> tuple[list[Any], bool]:
    """Every object of a kind; where we may not look at all of them, those of our namespace, and that it is so."""
    try:
        return objects.listing(sort, selector="", namespace=None), False
    except ApiError as error:
        if error.status != _FORBIDDEN:
            raise
    return objects.listing(sort, selector=""), True

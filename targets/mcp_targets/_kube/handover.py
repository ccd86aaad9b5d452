"""Who says how many copies there are: the manifest, or an autoscaler; and how one takes it over from the other.

A field that its last owner no longer applies is removed, and a Deployment without a number has one copy. So the number
is left to a manager of another name before it is left away
(https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcp_targets._kube.kinds import Sort, at
from mcp_targets._kube.objects import Objects

_SCALED: Final = "mcp-pack-scaled"
"""Manager of a number that an autoscaler goes on from."""
_FIELD: Final = ".spec.replicas"


def leave_number(objects: Objects, sort: Sort, wanted: Mapping[str, Any], before: Mapping[str, Any] | None) -> None:
    """Keep as many copies as there are where the wanted object no longer says how many, and the last release did."""
    if sort.name != "deployment" or _number(wanted) is not None or before is None or _number(before) is None:
        return
    name = wanted["metadata"]["name"]
    there = objects.read(sort, name)
    number = None if there is None else _number(there)
    if number is None:
        return
    kept = {
        "apiVersion": wanted["apiVersion"],
        "kind": wanted["kind"],
        "metadata": {"name": name},
        "spec": {"replicas": number},
    }
    path = at(sort, wanted).path(objects.namespace, name)
    objects.api.patch(path, kept, {"fieldManager": _SCALED, "force": "true"})


def was_scaled(sort: Sort, before: Mapping[str, Any], field: str) -> bool:
    """Whether a field is the number that an autoscaler of the last release had."""
    return sort.name == "deployment" and field == _FIELD and _number(before) is None


def _number(thing: Mapping[str, Any]) -> int | None:
    number = thing["spec"].get("replicas")
    return number if isinstance(number, int) else None

"""Who says how many copies there are: the manifest, or an autoscaler; and how one takes it over from the other.

A field that its last owner no longer applies is removed, and a Deployment without a number has one copy. So the number
is left to a manager of another name before it is left away
(https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcp_targets._kube.kinds import BY_NAME, Sort, at
from mcp_targets._kube.objects import Objects
from mcp_targets._kube.projection import OWNED, observed_fields

_SCALED: Final = "mcp-pack-scaled"
"""Manager of a number that an autoscaler goes on from."""
_FIELD: Final = ".spec.replicas"


def leave_number(objects: Objects, sort: Sort, wanted: Mapping[str, Any]) -> None:
    """Keep as many copies as there are where the wanted object no longer says how many, and we did so far.

    What we said last need not be what the last release said: a deploy that failed or was killed may have said it.
    """
    if sort.name != "deployment" or _number(wanted) is not None:
        return
    name = wanted["metadata"]["name"]
    there = objects.read(sort, name)
    if there is None or not _is_ours(there):
        return
    kept = {
        "apiVersion": wanted["apiVersion"],
        "kind": wanted["kind"],
        "metadata": {"name": name},
        "spec": {"replicas": there["spec"]["replicas"]},
    }
    path = at(sort, wanted).path(objects.namespace, name)
    objects.api.patch(path, kept, {"fieldManager": _SCALED, "force": "true"})


def take_number(objects: Objects, sort: Sort, wanted: Mapping[str, Any], before: Mapping[str, Any] | None) -> None:
    """Let the autoscaler of the last release go before the wanted object says how many copies there are.

    As long as it is there, it says another number a moment later. A deploy that fails after this brings it back.
    """
    if sort.name == "deployment" and _number(wanted) is not None and before is not None and _number(before) is None:
        objects.delete(BY_NAME["horizontalpodautoscaler"], wanted["metadata"]["name"], wait=True)


def was_scaled(sort: Sort, before: Mapping[str, Any], field: str) -> bool:
    """Whether a field is the number that an autoscaler of the last release had."""
    return sort.name == "deployment" and field == _FIELD and _number(before) is None


def _number(thing: Mapping[str, Any]) -> int | None:
    number = thing["spec"].get("replicas")
    return number if isinstance(number, int) else None


def _is_ours(there: Mapping[str, Any]) -> bool:
    """Whether we said how many copies there are."""
    owned: Any = observed_fields(there)[OWNED]
    return "f:replicas" in owned.get("f:spec", {})

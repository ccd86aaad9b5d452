"""``patches``: what a user changes of an object after all else. A JSON patch (RFC 6902) or a strategic merge patch.

What proves whose an object is, and what selects its Pods, cannot be changed: the object would be lost.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mcp_packager.errors import Place, Problem, UserError
from mcp_targets._kube.jsonpatch import PatchError, applied
from mcp_targets._kube.merging import merged
from mcp_targets._kube.names import SERVER, Names
from mcp_targets._kube.site import Object, Patch

_KEPT: Final = (
    ("apiVersion",),
    ("kind",),
    ("metadata", "name"),
    ("metadata", "namespace"),
    ("spec", "selector"),
    ("immutable",),
)
_OURS: Final = ("mcp-pack/", "app.kubernetes.io/")
_PODS: Final = ("spec", "template", "metadata", "labels")


def patched(objects: Iterable[Object], patches: Iterable[Patch], names: Names, file: str) -> tuple[Object, ...]:
    """The objects with every patch applied, in the order in which they are written. ``file`` is named in problems.

    Raises:
        UserError: a patch finds no object, does not fit, or leaves something that no API would take.
    """
    result = list(objects)
    problems: list[Problem] = []
    touched: dict[int, Place] = {}
    for patch in patches:
        where = Place(file, key=patch.key)
        meant = [index for index, item in enumerate(result) if _is_meant(item, patch, names)]
        if not meant:
            problems.append(_unknown(patch, result, where))
        for index in meant:
            try:
                changed = _changed(result[index], patch)
            except PatchError as error:
                problems.append(Problem(f"the patch does not fit {_named(result[index])}: {error}", error.fix, where))
                continue
            problems += _stolen(result[index], changed, where)
            result[index] = changed
            touched[index] = where
    problems += [found for index, where in touched.items() for found in _invalid(result[index], where)]
    if problems:
        raise UserError(problems)
    return tuple(result)


def _changed(item: Object, patch: Patch) -> Object:
    changed = copy.deepcopy(item)
    if patch.operations:
        changed = applied(changed, patch.operations)
    if patch.merge is not None:
        changed = merged(changed, patch.merge)
    if not isinstance(changed, dict) or not isinstance(changed.get("metadata"), dict):
        raise PatchError("nothing is left of it", "patch what is inside the object")
    return changed


def _is_meant(item: Object, patch: Patch, names: Names) -> bool:
    if str(item["kind"]).lower() != patch.target.lower():
        return False
    return patch.name is None or item["metadata"]["name"] in {patch.name, names.service(patch.name)}


def _unknown(patch: Patch, objects: list[Object], where: Place) -> Problem:
    there = sorted({str(item["kind"]) for item in objects})
    same = [item["metadata"]["name"] for item in objects if str(item["kind"]).lower() == patch.target.lower()]
    if same:
        return Problem(
            f"there is no {patch.target} called {patch.name} to patch",
            "leave name away, or use the name of a service of the tool",
            where,
            expected=", ".join(same),
            found=patch.name,
        )
    return Problem(
        f"there is no {patch.target} to patch",
        "name a kind of object that this tool has here",
        where,
        expected=", ".join(there),
        found=patch.target,
    )


def _stolen(before: Object, after: Object, where: Place) -> list[Problem]:
    """What must stay as it is."""
    problems = [
        Problem(
            f"the patch changes {'.'.join(path)} of {_named(before)}",
            "leave it as it is: by that the object is found again",
            where,
        )
        for path in _KEPT
        if _at(before, path) != _at(after, path)
    ]
    for path in (("metadata", "labels"), _PODS):
        had, has = _at(before, path) or {}, _at(after, path) or {}
        lost = sorted(key for key in had if key.startswith(_OURS) and has.get(key) != had[key])
        if lost:
            problems.append(
                Problem(
                    f"the patch takes away labels of {_named(before)} that prove whose it is",
                    "leave them as they are, and add others",
                    where,
                    found=", ".join(lost),
                )
            )
    if before["kind"] == "Deployment" and SERVER not in _containers(after):
        problems.append(Problem(f"the patch takes the container {SERVER} away, which is the tool", "leave it", where))
    return problems


def _containers(item: Object) -> list[Any]:
    found = _at(item, ("spec", "template", "spec", "containers"))
    return [one.get("name") for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _invalid(item: Object, where: Place) -> list[Problem]:
    from mcp_targets._kube.schema import faults  # the client's models are slow to load

    return [
        Problem(
            f"after the patch, {_named(item)} is not what the API takes: {fault.path} {fault.what}",
            "see kubectl explain " + fault.explained,
            where,
        )
        for fault in faults(item)
    ]


def _at(item: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        item = item.get(part) if isinstance(item, Mapping) else None
    return item


def _named(item: Object) -> str:
    return f"{item['kind']} {item['metadata']['name']}"

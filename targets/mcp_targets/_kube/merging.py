"""Strategic merge patches: mappings are merged, and lists of named things item by item, as Kubernetes' own types say.

https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from mcp_targets._kube.jsonpatch import PatchError

_KEYS: Final[Mapping[str, str]] = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "secrets": "name",
    "ownerReferences": "uid",
    "resourceClaims": "name",
}
"""Lists that are merged, and the field that names an item (``x-kubernetes-patch-merge-key`` of the API's schema)."""

_PORTS: Final = ("containerPort", "port")
"""Ports of a container and of a Service, which have one word for the list and two for the field."""

_DIRECTIVE: Final = "$patch"


def merged(document: Any, patch: Any) -> Any:
    """The document with the patch laid over it. ``null`` takes a key away; ``$patch = "delete" | "replace"`` is known.

    Raises:
        PatchError: an item of a list has no name to be found by, or a directive is not known.
    """
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    match patch.get(_DIRECTIVE):
        case None:
            pass
        case "replace":
            return {key: copy.deepcopy(value) for key, value in patch.items() if key != _DIRECTIVE}
        case other:
            raise PatchError(f"{_DIRECTIVE} = {other!r} is not known here", "use replace, and delete in lists")
    result = dict(document) if isinstance(document, Mapping) else {}
    for key, value in patch.items():
        if value is None or (isinstance(value, Mapping) and value.get(_DIRECTIVE) == "delete"):
            result.pop(key, None)
        elif isinstance(value, list | tuple):
            result[key] = _list(key, result.get(key), list(value))
        else:
            result[key] = merged(result.get(key), value)
    return result


def _list(name: str, old: Any, new: list[Any]) -> list[Any]:
    key = _key(name, old, new)
    if key is None or not isinstance(old, list):
        return [copy.deepcopy(item) for item in new if not _is_directive(item)]
    result = [] if any(_is_directive(item) and item[_DIRECTIVE] == "replace" for item in new) else list(old)
    for item in new:
        if _is_directive(item) and len(item) == 1:
            continue
        if not isinstance(item, Mapping) or key not in item:
            raise PatchError(f"an item of {name} has no {key}", f"add {key}: by that the item is found")
        at = next((index for index, had in enumerate(result) if had.get(key) == item[key]), None)
        match item.get(_DIRECTIVE):
            case "delete":
                if at is None:
                    raise PatchError(f"there is no {key} {item[key]!r} in {name} to delete", "mend the name")
                del result[at]
            case _ if at is None:
                result.append(merged({}, item))
            case _:
                result[at] = merged(result[at], item)
    return result


def _key(name: str, old: Any, new: list[Any]) -> str | None:
    if name != "ports":
        return _KEYS.get(name)
    items = [item for item in (*(old if isinstance(old, list) else []), *new) if isinstance(item, Mapping)]
    return next((key for key in _PORTS if any(key in item for item in items)), None)


def _is_directive(item: Any) -> bool:
    return isinstance(item, Mapping) and _DIRECTIVE in item

"""Conflicts of server-side apply: which field, and who holds it.

The server lists them as causes of its Status, each with a message such as ``conflict with "kubectl-edit" using
apps/v1`` and a path such as ``.spec.template.spec.containers[name="server"].image``
(https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts). Keys stand in paths as they are, dots
and all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from mcp_packager.target import Value

_OWNER: Final = re.compile(r'conflict with "([^"]*)"')
_PAIR: Final = re.compile(r'([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^,\]]+)')


def conflicts(said: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each field in conflict, and its owner."""
    found = []
    for cause in (said.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "FieldManagerConflict":
            owner = _OWNER.search(cause.get("message", ""))
            found.append((str(cause.get("field", "")), owner.group(1) if owner else "somebody else"))
    return found


def holds(value: Value, path: str) -> bool:
    """Whether an object has a field that a path of the server's names."""
    if not path:
        return True
    match value:
        case Mapping() if path.startswith("."):
            rest = path[1:]
            return any(
                holds(inner, rest[len(key) :])
                for key, inner in value.items()
                if rest.startswith(key) and rest[len(key) : len(key) + 1] in {"", ".", "["}
            )
        case [*items] if path.startswith("["):
            inside, _, rest = path[1:].partition("]")
            return any(holds(item, rest) for item in items if _is(item, inside))
        case _:
            return False


def _is(item: Value, inside: str) -> bool:
    """Whether a list's item is the one in brackets: by its keys, or by its value."""
    if inside.startswith("="):
        return bool(json.dumps(item) == inside[1:])
    pairs = _PAIR.findall(inside)
    if not pairs or not isinstance(item, Mapping):
        return False
    return all(json.dumps(item.get(key, "TCP" if key == "protocol" else None)) == text for key, text in pairs)

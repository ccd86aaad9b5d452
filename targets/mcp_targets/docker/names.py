"""What everything of one deployment is called at the daemon, and the labels that prove whose it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_packager.target import Identity, Key, Value

KIND: Final = "mcp-pack/kind"
NAME: Final = "mcp-pack/name"
FIELDS: Final = "mcp-pack/fields"
SCOPE: Final = "mcp-pack/scope"
BY: Final = "mcp-pack/by"
"""Which process made what is not to outlive it."""

EMPTY: Final = "localhost/mcp-pack/empty:1"
"""An image without a file: what a container is made of through which a volume is written, and which never runs."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names and labels for one identity."""

    identity: Identity

    def of(self, *parts: str) -> str:
        """The name of a container, network or volume."""
        return self.identity.name(*parts)

    def labels(self, key: Key, fields: Mapping[str, Value], scope: str = "tool") -> dict[str, str]:
        """Labels of a thing: whose it is, what it is, and how it was wanted."""
        return {
            **self.identity.labels(),
            KIND: key.kind,
            NAME: key.name,
            SCOPE: scope,
            FIELDS: json.dumps(fields, sort_keys=True, separators=(",", ":")),
        }

    @property
    def filters(self) -> dict[str, list[str]]:
        """What a listing is asked for, so that it holds what is ours alone."""
        return {"label": [f"{name}={value}" for name, value in self.identity.labels().items()]}


def key_of(labels: Mapping[str, str]) -> Key:
    """Which resource labels speak of."""
    return Key(labels.get(KIND, ""), labels.get(NAME, ""))


def fields_of(labels: Mapping[str, str]) -> dict[str, Any]:
    """How the thing was wanted when it was made; nothing where that cannot be read."""
    try:
        found = json.loads(labels.get(FIELDS, ""))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

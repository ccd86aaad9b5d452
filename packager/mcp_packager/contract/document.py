"""The contract: what a server shows a client, as the runtime wrote it, with its hash held against its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcp_packager.errors import Problem, UserError

SCHEMA: Final = 1
"""The newest contract document that this packager reads."""

LISTS: Final = ("tools", "resources", "templates", "prompts")
"""What the hash covers."""


@dataclass(frozen=True, slots=True)
class Contract:
    """Every tool, resource, template and prompt of a server, and one hash over them."""

    document: Mapping[str, Any]
    hash: str

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Contract:
        """Read a contract document of this or an older form.

        Raises:
            UserError: it is newer than this packager, is not a contract, or does not have the hash that it states.
        """
        schema = document.get("schema")
        if isinstance(schema, int) and schema > SCHEMA:
            raise UserError(
                Problem(
                    what=f"the contract has form {schema}; this mcp-pack reads up to {SCHEMA}",
                    fix="Install the newest mcp-pack",
                )
            )
        if schema != SCHEMA or not all(isinstance(document.get(name), list) for name in LISTS):
            raise UserError(Problem(what="this is not a contract document", fix="Build the project again"))
        stated = document.get("hash")
        if stated != digest({name: document[name] for name in LISTS}):
            raise UserError(
                Problem(
                    what="the contract does not have the hash that it states",
                    fix="Build the project again; nobody may edit a contract",
                )
            )
        return cls(document, str(stated))

    def entries(self, kind: str) -> tuple[Mapping[str, Any], ...]:
        """All of one kind, one of :data:`LISTS`, in the order of the contract."""
        return tuple(self.document[kind])

    @property
    def tools(self) -> tuple[Mapping[str, Any], ...]:
        """Each tool: ``name``, ``sha256``, ``definition`` as sent, ``timeout``, ``secrets``, ``scopes``, ``asks``."""
        return self.entries("tools")

    @property
    def tool_names(self) -> tuple[str, ...]:
        """Names of the tools."""
        return tuple(str(tool["name"]) for tool in self.tools)


def contract_of(listed: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """The contract document of a server that was only asked, as its own extraction would have written it.

    ``listed`` holds definitions as they came, by each of :data:`LISTS`. What a server does not tell (timeouts, secrets,
    scopes) stands as none; ``read`` says where it is from.
    """
    addresses = {"tools": None, "prompts": None, "resources": "uri", "templates": "uriTemplate"}
    covered: dict[str, list[dict[str, Any]]] = {}
    for name in LISTS:
        address = addresses[name]
        entries = sorted(listed.get(name, ()), key=lambda item, by=address or "name": str(item[by]))  # type: ignore[misc]  # bound now
        covered[name] = [
            {
                "name": item["name"],
                "sha256": digest(item),
                "definition": dict(item),
                **({} if address is None else {address: item[address]}),
                **({"timeout": None, "secrets": [], "scopes": [], "asks": False} if name == "tools" else {}),
            }
            for item in entries
        ]
    return {"schema": SCHEMA, "read": True, "hash": digest(covered), **covered}


def canonical(value: Any) -> bytes:
    """JSON with sorted keys, without spaces, as UTF-8: the form that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are written alike: ``1`` and ``true`` are not, though Python holds them equal."""
    return canonical(one) == canonical(other)


def digest(value: Any) -> str:
    """SHA-256 of the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()

"""The contract of a server that was only asked is the one that its own extraction would have had."""

from __future__ import annotations

from typing import Any

from mcp_packager.contract import Contract, contract_of
from mcp_tool.contract import assemble

_LISTED: dict[str, list[dict[str, Any]]] = {
    "tools": [
        {"name": "shout", "inputSchema": {"type": "object"}, "description": "Louder"},
        {"name": "count", "inputSchema": {"type": "object"}},
    ],
    "resources": [{"name": "b", "uri": "x://a"}, {"name": "a", "uri": "x://b"}],
    "templates": [{"name": "t", "uriTemplate": "x://{name}"}],
    "prompts": [{"name": "p"}],
}


def test_has_the_same_hash_as_the_runtime_would_give_it() -> None:
    knobs: dict[str, dict[str, Any]] = {
        name: {"timeout": None, "secrets": [], "scopes": [], "asks": False} for name in ("shout", "count")
    }
    theirs = assemble({**_LISTED, "resourceTemplates": _LISTED["templates"]}, knobs, {})
    read = contract_of(_LISTED)
    assert read["hash"] == theirs["hash"]
    assert {name: read[name] for name in _LISTED} == {name: theirs[name] for name in _LISTED}
    assert Contract.from_document(read).tool_names == ("count", "shout")


def test_of_a_server_without_anything() -> None:
    assert Contract.from_document(contract_of({})).tool_names == ()

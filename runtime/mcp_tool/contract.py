"""The contract: what the server shows a client, as one JSON document, extracted without the SDK and without starting.

    {"schema": 1, "runtime": "0.1.0", "hash": "<sha256>",
     "tools": [{"name", "sha256", "definition": {…}, "timeout": seconds | null, "secrets": [], "scopes": [],
                "asks": bool}, …],
     "resources": [{"name", "uri", "sha256", "definition"}, …], "templates": […], "prompts": […],
     "answers": {"legacy": {method: result, …}, "2026-07-28": {method: result, …}}}

Entries are sorted by name. Each `sha256` is over the canonical JSON of the definition; `hash` is over the canonical
JSON of `{"tools", "resources", "templates", "prompts"}`. Canonical: sorted keys, no spaces, UTF-8, no NaN.
The document itself keeps the order of keys, since `answers` are what goes over the wire.

Where it cannot be made, the document is `{"schema": 1, "problems": [{"file", "line", "what", "fix", "traceback"}, …]}`.
"""

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mcp_tool
from mcp_tool import answers
from mcp_tool.errors import ContractError, EntrypointError
from mcp_tool.plans import Plans, ToolPlan

SCHEMA = 1


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: equal values are equal bytes.

    Raises:
        ValueError: It holds NaN or an infinity.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def document(tool: Mapping[str, Any], plans: Plans) -> dict[str, Any]:
    """The contract of an app.

    Args:
        tool: The `tool.json` document.
        plans: What the app offers.
    """
    listed = {
        "tools": [plan.definition for plan in plans.tools.values()],
        "resources": [plan.definition for plan in plans.resources.values()],
        "resourceTemplates": [plan.definition for plan in plans.templates.values()],
        "prompts": [plan.definition for plan in plans.prompts.values()],
    }
    knobs = {plan.definition["name"]: _knobs(plan) for plan in plans.tools.values()}
    return assemble(listed, knobs, answers.build(tool, listed))


def assemble(
    listed: Mapping[str, Sequence[Mapping[str, Any]]],
    knobs: Mapping[str, Mapping[str, Any]],
    ready: Mapping[str, Any],
) -> dict[str, Any]:
    """The document from its parts.

    Args:
        listed: Definitions by the key they have in a list: tools, resources, resourceTemplates, prompts.
        knobs: By tool: `timeout`, `secrets`, `scopes`, `asks`.
        ready: The answers by era.
    """
    covered = {
        "tools": [{**_entry(found), **knobs[found["name"]]} for found in _sorted(listed["tools"], "name")],
        "resources": [_entry(found, "uri") for found in _sorted(listed["resources"], "uri")],
        "templates": [_entry(found, "uriTemplate") for found in _sorted(listed["resourceTemplates"], "uriTemplate")],
        "prompts": [_entry(found) for found in _sorted(listed["prompts"], "name")],
    }
    return {
        "schema": SCHEMA,
        "runtime": mcp_tool.__version__,
        "hash": digest(covered),
        **covered,
        "answers": dict(ready),
    }


def _knobs(plan: ToolPlan) -> dict[str, Any]:
    declared = plan.declaration
    return {
        "timeout": declared.timeout,
        "secrets": sorted(declared.secrets),
        "scopes": sorted(declared.scopes),
        "asks": plan.asks,
    }


def _entry(definition: Mapping[str, Any], address: str | None = None) -> dict[str, Any]:
    entry = {"name": definition["name"], "sha256": digest(definition), "definition": dict(definition)}
    return entry if address is None else {**entry, address: definition[address]}


def _sorted(entries: Sequence[Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
    return sorted(entries, key=lambda entry: str(entry[key]))


def write(bundle: Path, output: Path) -> int:
    """Extract the contract of a bundle and write it, as the last thing done.

    Args:
        bundle: The folder with `tool.json` and `app/`; `lib/` and `app/` are put on the import path if they are not.
        output: The file to write; it appears whole or not at all.

    Returns:
        The exit code: 0, or 1 where the file holds problems instead.
    """
    from mcp_tool.serve import environment

    tool = json.loads((bundle / "tool.json").read_text(encoding="utf-8"))
    environment.open_paths(bundle)
    try:
        made = _wrapped(tool, bundle) if ":" in tool["entrypoint"] else _own(tool)
    except ContractError as error:
        made = {"schema": SCHEMA, "problems": [problem.as_json() for problem in error.problems]}
    except EntrypointError as error:
        problem = {"file": None, "line": 0, "what": error.what, "fix": error.fix, "traceback": error.trace or None}
        made = {"schema": SCHEMA, "problems": [problem]}
    with contextlib.suppress(ValueError, OSError):  # the author's code may have closed it
        sys.stdout.flush()
    partial = output.with_name(f".{output.name}.{os.getpid()}")
    text = json.dumps(made, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    partial.write_text(text, encoding="utf-8")
    partial.replace(output)
    return 1 if "problems" in made else 0


def _own(tool: Mapping[str, Any]) -> dict[str, Any]:
    from mcp_tool.app import App

    return App.load(tool).contract()


def _wrapped(tool: Mapping[str, Any], bundle: Path) -> dict[str, Any]:
    from mcp_tool import foreign

    made: dict[str, Any] = foreign.contract(tool, bundle)
    return made

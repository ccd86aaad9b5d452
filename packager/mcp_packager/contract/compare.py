"""What changed between two contracts, and whether it breaks a client that knew the first.

Arguments go from client to server: the new schema must take what the old one took. Results come back: the old schema
must take what the new one allows. Texts may change; names may come, and not go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_packager.contract.document import Contract, same
from mcp_packager.contract.schemas import Refusal, refusals

_KINDS: Final = (("tool", "tools"), ("resource", "resources"), ("template", "templates"), ("prompt", "prompts"))
_TEXTS: Final = ("name", "title", "description", "icons", "_meta")


@dataclass(frozen=True, slots=True)
class ContractChange:
    """One difference. ``kind`` is ``tool``, ``resource``, ``template`` or ``prompt``; ``what`` is a sentence."""

    kind: str
    name: str
    breaking: bool
    what: str


def compare(old: Contract, new: Contract) -> tuple[ContractChange, ...]:
    """Every difference from ``old`` to ``new``, the breaking ones first."""
    if old.hash == new.hash:
        return ()
    changes: list[ContractChange] = []
    for kind, listed in _KINDS:
        before = {_name(entry): entry for entry in old.entries(listed)}
        after = {_name(entry): entry for entry in new.entries(listed)}
        gone, come = before.keys() - after.keys(), after.keys() - before.keys()
        changes.extend(ContractChange(kind, name, breaking=True, what=f"{kind} {name} is gone") for name in gone)
        changes.extend(ContractChange(kind, name, breaking=False, what=f"{kind} {name} is new") for name in come)
        for name in before.keys() & after.keys():
            changes.extend(_CHANGES[kind](name, before[name], after[name]))
    return tuple(sorted(changes, key=lambda change: (not change.breaking, change.kind, change.name, change.what)))


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("uri") or entry.get("uriTemplate") or entry["name"])


def _definition(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    definition = entry.get("definition", entry)
    return definition if isinstance(definition, Mapping) else {}


def _tool(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[ContractChange]:
    def change(what: str, *, breaking: bool) -> ContractChange:
        return ContractChange("tool", name, breaking, what)

    before, after = _definition(old), _definition(new)
    yield from _texts("tool", name, before, after)
    yield from (change(what, breaking=breaking) for what, breaking in _arguments(before, after))
    yield from (change(what, breaking=breaking) for what, breaking in _results(before, after))
    if before.get("annotations") != after.get("annotations"):
        yield change("its hints (read-only, destructive, …) changed", breaking=False)
    asked = [scope for scope in new.get("scopes", ()) if scope not in old.get("scopes", ())]
    if asked:
        yield change(f"callers need further scopes: {', '.join(asked)}", breaking=True)
    elif new.get("scopes") != old.get("scopes"):
        yield change("callers need fewer scopes", breaking=False)
    if new.get("asks") and not old.get("asks"):
        yield change("it asks the user now", breaking=False)
    if new.get("timeout") != old.get("timeout"):
        yield change("its timeout changed", breaking=False)


def _arguments(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    ours, theirs = before.get("inputSchema", {}), after.get("inputSchema", {})
    if same(ours, theirs):
        return
    refused = refusals(ours, theirs)
    for refusal in refused:
        yield _said("argument", refusal), True
    old, new = ours.get("properties", {}), theirs.get("properties", {})
    told = {refusal.path[:1] for refusal in refused}
    for name in new:
        if name not in old and (name,) not in told:
            yield f"argument {name} is new and optional", False
    for name in old:
        if name in new and not same(old[name], new[name]) and (name,) not in told:
            yield f"argument {name} changed and still takes what it took", False
    if not refused and same(old, new):
        yield "its arguments changed and still take what they took", False


def _results(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    ours, theirs = before.get("outputSchema"), after.get("outputSchema")
    if same(ours, theirs):
        return
    if ours is None:
        yield "it answers with structure now", False
    elif theirs is None:
        yield "it no longer answers with structure", True
    else:
        refused = refusals(theirs, ours, names=False)
        for refusal in refused:
            yield _said_of_result(refusal), True
        if not refused:
            yield "its result stays within what it was", False


_OF_ARGUMENT: Final[Mapping[str, str]] = {
    "required": "is required now",
    "gone": "is gone",
    "closed": "no longer takes further properties",
}
_OF_RESULT: Final[Mapping[str, str]] = {
    "required": "is not always there any more",
    "gone": "is new where nothing more was allowed",
    "closed": "may hold further properties now",
    "type": "has another type",
    "values": "may hold values it never held",
    "tightened": "is bounded less than before",
}


def _said(what: str, refusal: Refusal) -> str:
    subject = f"{what} {'.'.join(refusal.path)}" if refusal.path else "the arguments as a whole"
    return f"{subject}: {_OF_ARGUMENT.get(refusal.why, refusal.detail)}"


def _said_of_result(refusal: Refusal) -> str:
    subject = f"result {'.'.join(refusal.path)}" if refusal.path else "the result as a whole"
    return f"{subject}: {_OF_RESULT.get(refusal.why, refusal.detail)}"


def _resource(name: str, old: Mapping[str, Any], new: Mapping[str, Any], *, kind: str) -> Iterator[ContractChange]:
    before, after = _definition(old), _definition(new)
    yield from _texts(kind, name, before, after)
    if before.get("mimeType") != after.get("mimeType"):
        what = f"it has another type: {after.get('mimeType')}, was {before.get('mimeType')}"
        yield ContractChange(kind, name, breaking=before.get("mimeType") is not None, what=what)


def _plain_resource(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[ContractChange]:
    return _resource(name, old, new, kind="resource")


def _template(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[ContractChange]:
    return _resource(name, old, new, kind="template")


def _prompt(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[ContractChange]:
    before, after = _definition(old), _definition(new)
    yield from _texts("prompt", name, before, after)
    ours = {argument["name"]: argument for argument in before.get("arguments") or ()}
    theirs = {argument["name"]: argument for argument in after.get("arguments") or ()}
    for argument in sorted(ours.keys() - theirs.keys()):
        yield ContractChange("prompt", name, breaking=True, what=f"argument {argument}: is gone")
    for argument, definition in sorted(theirs.items()):
        required = bool(definition.get("required"))
        known = ours.get(argument)
        if required and not (known or {}).get("required"):
            yield ContractChange("prompt", name, breaking=True, what=f"argument {argument}: is required now")
        elif known is None:
            yield ContractChange("prompt", name, breaking=False, what=f"argument {argument} is new and optional")
        elif known != definition:
            yield ContractChange(
                "prompt", name, breaking=False, what=f"argument {argument} changed and still takes what it took"
            )


def _texts(kind: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[ContractChange]:
    for key in _TEXTS:
        if before.get(key) != after.get(key):
            yield ContractChange(kind, name, breaking=False, what=f"its {key.strip('_')} changed")


_CHANGES: Final[Mapping[str, Callable[[str, Mapping[str, Any], Mapping[str, Any]], Iterator[ContractChange]]]] = {
    "tool": _tool,
    "resource": _plain_resource,
    "template": _template,
    "prompt": _prompt,
}


def needs_major(old_version: str, new_version: str, changes: tuple[ContractChange, ...]) -> bool:
    """Whether breaking changes come without the version step that announces them.

    The step is a higher major version; before 1.0 a higher minor version, as semantic versioning's users do.
    """
    if not any(change.breaking for change in changes):
        return False
    from packaging.version import Version  # 11 ms that only a breaking change costs

    old, new = Version(old_version), Version(new_version)
    if old.major == 0 and new.major == 0:
        return new.minor <= old.minor
    return new.major <= old.major


def announcing(old_version: str) -> str:
    """The lowest version that may break the clients of ``old_version``, such as ``2.0.0`` or ``0.3.0``."""
    from packaging.version import Version

    old = Version(old_version)
    return f"{old.major + 1}.0.0" if old.major else f"0.{old.minor + 1}.0"

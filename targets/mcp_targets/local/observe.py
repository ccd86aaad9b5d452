"""What of one deployment is on this machine. Only reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mcp_packager.target import Key, Observed, Value, digest, owned
from mcp_targets.local.daemon import Daemon
from mcp_targets.local.keys import key_fields
from mcp_targets.local.places import Places, inside, scratch
from mcp_targets.local.render import CANDIDATE, HOME, SERVER, SUPERVISOR, UNIT
from mcp_targets.local.trees import Trees
from mcp_targets.local.unit import Unit

BUNDLE_MADE: Final = "bundle_made"
"""Which writing of its bundle a server was started from."""

_FINE: Final = frozenset({"running", "starting"})


def observe(places: Places, daemon: Daemon, unit: Unit, trees: Trees) -> dict[Key, Observed]:
    """Everything that is there. Of the bundles, the files of those that servers run from are looked at."""
    trees.forget()
    found = {found.key: found for found in _all(places, daemon, trees)}
    # It may outlive the folder, should somebody remove that by hand.
    written = unit.observe()
    return found if written is None else found | {UNIT: Observed(*UNIT, written)}


def _all(places: Places, daemon: Daemon, trees: Trees) -> Iterator[Observed]:
    if not places.root.is_dir():
        return
    yield Observed(*HOME, {"identity": _document(places.owner), "audit": str(places.log("audit"))})
    for path in scratch(places):
        yield Observed("scratch", str(path.relative_to(places.root)), {})
    for folder in inside(places.bundles):
        if folder.is_dir():
            yield Observed("bundle", folder.name[:16], bundle_fields(folder))
    for file in inside(places.configs):
        yield Observed("config", file.stem, config_fields(file))
    for folder in inside(places.secrets):
        yield Observed("secret", folder.name, secret_fields(folder))
    for folder in inside(places.keys):
        yield Observed("key", folder.name, key_fields(folder))
    alive, orphans = daemon.alive(), daemon.orphans()
    if alive or orphans:
        yield Observed(*SUPERVISOR, {"pid": daemon.state().get("pid"), "killed": not alive})
    for key in (CANDIDATE, SERVER):
        slot = daemon.slot(key.name)
        fields = server_fields(slot, trees) if alive or slot.get("pid") in orphans else None
        if fields is not None:
            yield Observed(*key, fields if alive else {**fields, "state": "left by a supervisor that was killed"})


def bundle_fields(folder: Path) -> dict[str, Value]:
    """A materialised bundle: it is made whole under its digest or not at all."""
    return {"digest": folder.name, "path": str(folder)}


def supervisor_held(observed: Mapping[str, Value], desired: Mapping[str, Value]) -> Mapping[str, Value]:
    """One that runs is as desired: another interpreter is no reason to end it, it needs nothing of that any more."""
    return dict.fromkeys(desired, "killed, with its server left running") if observed["killed"] else desired


def config_fields(file: Path) -> dict[str, Value]:
    """A config as it stands in its file, whoever wrote it last."""
    document = _document(file)
    return {"document": document, "path": str(file), "digest": digest(document)}


def secret_fields(folder: Path) -> dict[str, Value]:
    """A secret without its value: where it came from, and which version is the one to use."""
    about = _document(folder / "secret.json") or {}
    version = about.get("version")
    path = folder / str(version)
    there = version is not None and path.is_file()
    return {
        "source": about.get("source"),
        "required": about.get("required"),
        "version": version if there else None,
        "path": str(path) if there else None,
    }


def bundle_held(trees: Trees, observed: Mapping[str, Value], desired: Mapping[str, Value]) -> Mapping[str, Value]:
    """A bundle that is desired, as its files are: only now, since each is thousands of files."""
    damage = trees.damage(Path(observed["path"]))
    return {**owned(observed, desired), **({"digest": damage} if damage else {})}


def server_fields(slot: Mapping[str, Any], trees: Trees) -> Mapping[str, Value] | None:
    """A server as the supervisor describes it; ``None`` where the slot is empty."""
    fields = slot.get("fields")
    if fields is None:
        return None
    state = slot["state"]
    folder = Path(fields["bundle"])
    fresh = trees.made(folder) == fields.get(BUNDLE_MADE) and not trees.damage(folder)
    return {
        **fields,
        "bundle": fields["bundle"] if fresh else "files that are not as they were written",
        "state": "running" if state in _FINE else state,
        "pid": slot["pid"],
        "private_port": slot["private_port"],
    }


def _document(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None

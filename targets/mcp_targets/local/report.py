"""How a deployment is, and what its server wrote."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from mcp_packager.target import Endpoint, State, Status
from mcp_targets.local.daemon import Daemon
from mcp_targets.local.logs import tail
from mcp_targets.local.places import Places
from mcp_targets.local.render import SERVER

_SHOWN_LINES: Final = 10
_ORPHANED: Final = (
    "the supervisor was killed: the server that it left goes on serving, and nobody starts it again should it die; "
    "mcp-pack deploy takes it over"
)


def status(places: Places, daemon: Daemon, endpoint: Endpoint | None) -> Status:
    """The state of the server, and where it is not well, why, with the last lines of its log."""
    if not places.run.is_dir():
        return Status(State.ABSENT)
    slot = daemon.slot(SERVER.name)
    if not daemon.alive() and slot.get("pid") not in daemon.orphans():
        return Status(State.STOPPED, detail=_stopped(places, daemon))
    if not slot.get("fields"):
        return Status(State.STOPPED, detail=("nothing is deployed",))
    state = _state(slot)
    detail = []
    if not daemon.alive():
        detail.append(_ORPHANED)
    if slot["error"]:
        detail.append(slot["error"])
    if slot["exit"] or state is not State.RUNNING:
        lines = slot.get("lines") or tail(places.log(SERVER.name), _SHOWN_LINES)
        detail.extend(f"log: {line}" for line in lines)
    return Status(
        state,
        endpoint=endpoint,
        uptime=None if slot["since"] is None else max(0.0, time.time() - slot["since"]),
        restarts=slot["restarts"],
        replicas="1/1" if state is State.RUNNING else "0/1",
        pid=slot["pid"],
        detail=tuple(detail),
    )


def _state(slot: Mapping[str, Any]) -> State:
    match slot["state"]:
        case "running":
            return State.RUNNING
        case "starting":
            return State.STARTING
        case "stopped":
            return State.STOPPED
        case _:
            return State.CRASHED


def _stopped(places: Places, daemon: Daemon) -> tuple[str, ...]:
    if not daemon.state():
        return ("the supervisor never ran",)
    return (
        "the supervisor is not running: it was killed, or the machine was restarted; mcp-pack deploy starts it again",
        *(f"log: {line}" for line in tail(places.log(SERVER.name), _SHOWN_LINES)),
    )


def spoken(line: str) -> str:
    """A line of the server's log as a sentence: what it says and how to mend it, without the rest of the document."""
    try:
        document = json.loads(line)
    except ValueError:
        return line
    if not isinstance(document, dict) or not isinstance(document.get("msg"), str):
        return line
    fix = document.get("fix")
    return f"{document['msg']} ({fix})" if isinstance(fix, str) else document["msg"]

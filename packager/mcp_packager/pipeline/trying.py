"""``mcp-pack run --target NAME``: the tool on a target for as long as somebody looks, and nothing of it afterwards.

It is deployed as a stage of its own, by the engine that deploys everything: a save is a redeploy, whose new version
is looked at before it serves, and the end is a destroy.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mcp_packager import engine
from mcp_packager.errors import PackError, Problem, UsageError, UserError
from mcp_packager.pipeline.aiming import Order, aimed_at
from mcp_packager.pipeline.place import verified, world_of
from mcp_packager.pipeline.project import Project, open_project
from mcp_packager.pipeline.requests import Request
from mcp_packager.pipeline.saved import LOOK_EVERY, differing, saved
from mcp_packager.store import Store
from mcp_packager.target import Tried, World

_STAGE: Final = "run"
"""Beside the stage's own name; with what no stage's name may hold between them."""
_LOG_LINES: Final = 100


@dataclass(frozen=True)
class _Place:
    """Where it is tried out: the request, whose one target it is, and the address that clients shall find it at."""

    request: Request
    host: str
    port: int
    output: Path


def try_out(request: Request, *, host: str, port: int, reload: bool) -> None:
    """Serve on the one target of the request until Ctrl-C or SIGTERM.

    With ``reload`` a save deploys the project again. A version that is wrong is told, and the one before serves on.

    Raises:
        KeyboardInterrupt: it came before anything was served.
        UserError: the project is wrong; with ``reload`` that is told, and the next save tries again.
        UsageError: nothing can be tried out on that target.
        WorldError: the target does not answer.
    """
    with Store().scratch() as folder:
        place = _Place(request, host, port, folder)
        with _removed(place):
            seen = dict(saved(place.request.project))
            _up(place, forgiving=reload)
            with suppress(KeyboardInterrupt):
                _serving(place, seen, reload=reload)


def _serving(place: _Place, seen: dict[str, int], *, reload: bool) -> None:
    progress = place.request.progress
    threading.Thread(target=_show_logs, args=(_world(place),), daemon=True, name="logs").start()
    while True:
        time.sleep(LOOK_EVERY)
        now = dict(saved(place.request.project)) if reload else seen
        if now != seen:
            progress.note(f"changed: {', '.join(differing(seen, now)[:5])}; deploying again")
            seen = now
            _up(place, forgiving=True)


def _up(place: _Place, *, forgiving: bool) -> None:
    """Bring what is saved now to clients; what is wrong with it is told where the next save may mend it."""
    progress = place.request.progress
    try:
        project = _project(place)
        (aimed,) = aimed_at(project, place.request, Order(allow_breaking=True), output=place.output)
        run = engine.Run(progress=progress)
        done = engine.deploy(aimed.intent, aimed.world, verify=verified(aimed.world), run=run)
    except PackError as error:
        if not forgiving:
            raise
        progress.note(str(error))
        return
    progress.note(f"serving {done.release.intent.artifact.version} at {done.release.endpoint.url}; Ctrl-C ends it")


@contextmanager
def _removed(place: _Place) -> Iterator[None]:
    """Leave nothing behind, however the body ends."""
    world = _world(place)
    try:
        yield
    finally:
        if world.observe() or world.records.listing():
            engine.destroy(world, data=True, run=engine.Run(progress=place.request.progress))


def _world(place: _Place) -> World:
    project = _project(place)
    return world_of(project.manifest, project.aims[0], progress=place.request.progress)


def _project(place: _Place) -> Project:
    """The project as a stage of its own, with its target's options for this."""
    project = open_project(place.request)
    if len(project.aims) != 1:
        raise UsageError(Problem("a tool is tried out on one target at a time", "say --target once"))
    (aim,) = project.aims
    if not isinstance(aim.target, Tried):
        raise UsageError(
            Problem(f"nothing can be tried out on the target {aim.name}", "leave --target away, or deploy a stage")
        )
    stage = f"{project.manifest.stage}:{_STAGE}"
    options = aim.target.trying(aim.options, place.host, place.port)
    manifest = project.manifest.model_copy(update={"stage": stage})
    return Project(manifest, (replace(aim, options=options),))


def _show_logs(world: World) -> None:
    """Print what servers log, one after the other, on the terminal. Ends with the process."""
    while True:
        try:
            for line in world.logs(lines=_LOG_LINES, follow=True):
                sys.stderr.write(f"{line}\n")
        except PackError:
            pass  # between two servers there is nobody whose log it could be
        time.sleep(LOOK_EVERY)


def refuse_stdio() -> None:
    """Say what to do instead of serving one client over stdio here.

    Raises:
        UserError: always.
    """
    raise UserError(
        Problem("a client over stdio starts its container itself", "mcp-pack build, then mcp-pack client-config")
    )

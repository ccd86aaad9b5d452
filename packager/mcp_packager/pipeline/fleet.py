"""``--all``: every tool of a workspace, side by side, with one report. A broken tool stops none of the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from mcp_packager import engine
from mcp_packager.errors import Problem, UserError
from mcp_packager.manifest.workspace import members
from mcp_packager.pipeline.aiming import Aimed, Order, aim
from mcp_packager.pipeline.build import build
from mcp_packager.pipeline.deploy import Confirm, carried_out, planned
from mcp_packager.pipeline.many import Named, Outcome, side_by_side
from mcp_packager.pipeline.reports import DeployReport, PlanReport
from mcp_packager.pipeline.requests import BuildReport, Request
from mcp_packager.store import trusting
from mcp_packager.target import Glance, Intent, Together

Report = TypeVar("Report")


@dataclass(frozen=True, slots=True)
class ToolReport(Generic[Report]):
    """What became of one tool project: its targets' reports, or the problems that ended it and their exit code."""

    project: Path
    reports: tuple[Report, ...] = ()
    problems: tuple[Problem, ...] = ()
    exit_code: int = 0


def build_all(request: Request) -> tuple[ToolReport[BuildReport], ...]:
    """Build every tool of the workspace, or below the folder, that ``request.project`` is.

    Raises:
        UserError: there is none, or the workspace's file is wrong.
    """
    with trusting():
        return _told(side_by_side(_requests(request), build))


def plan_all(request: Request, order: Order = Order()) -> tuple[ToolReport[PlanReport], ...]:
    """What a deploy of every tool would change. Raises as :func:`build_all` does."""

    def look(one: Request) -> tuple[PlanReport, ...]:
        return tuple(planned(each) for each in aim(one, order))

    with trusting():
        return _told(side_by_side(_requests(replace(request, glance=Glance())), look))


def deploy_all(
    request: Request, order: Order = Order(), *, confirm: Confirm = lambda _: True, wait: float = 0.0
) -> tuple[ToolReport[DeployReport], ...]:
    """Build and judge every tool, then deploy those with which nothing is wrong. Raises as :func:`build_all` does.

    Tools that would get in each other's way are refused, both of them, before anything is touched.
    """
    asked = _one_at_a_time(confirm)
    with trusting():
        found = side_by_side(_requests(request), lambda one: aim(one, order))
        fit = [_unless_clashing(each, found) for each in found]

        def go(each: Outcome[Request, tuple[Aimed, ...]]) -> tuple[DeployReport, ...]:
            name = each.item.project.name
            run = engine.Run(progress=each.item.progress, wait=wait)
            return carried_out(each.result or (), confirm=lambda text: asked(f"{name}: {text}"), run=run)

        done = iter(side_by_side([each for each in fit if each.exit_code == 0], go))
    return _told(tuple(_ended(each, done) for each in fit))


def _requests(request: Request) -> list[Request]:
    return [
        replace(request, project=project, progress=Named(request.progress, project.name))
        for project in members(request.project.absolute())
    ]


def _ended(
    each: Outcome[Request, tuple[Aimed, ...]],
    done: Iterator[Outcome[Outcome[Request, tuple[Aimed, ...]], tuple[DeployReport, ...]]],
) -> Outcome[Request, tuple[DeployReport, ...]]:
    if each.exit_code:
        return Outcome(each.item, problems=each.problems, exit_code=each.exit_code)
    ended = next(done)
    return Outcome(each.item, ended.result, ended.problems, ended.exit_code)


def _told(found: Sequence[Outcome[Request, tuple[Report, ...]]]) -> tuple[ToolReport[Report], ...]:
    return tuple(ToolReport(each.item.project, each.result or (), each.problems, each.exit_code) for each in found)


def _unless_clashing(
    each: Outcome[Request, tuple[Aimed, ...]], every: Sequence[Outcome[Request, tuple[Aimed, ...]]]
) -> Outcome[Request, tuple[Aimed, ...]]:
    """The outcome, or what stands between this tool and others of the same run."""
    problems = [problem for aimed in each.result or () for problem in _clashes(aimed, _others(aimed, every))]
    if not problems:
        return each
    return Outcome(each.item, problems=tuple(problems), exit_code=UserError.exit_code)


def _others(aimed: Aimed, every: Sequence[Outcome[Request, tuple[Aimed, ...]]]) -> list[Intent]:
    return [
        other.intent
        for each in every
        for other in each.result or ()
        if other is not aimed and other.built.aim.name == aimed.built.aim.name
    ]


def _clashes(aimed: Aimed, others: Sequence[Intent]) -> tuple[Problem, ...]:
    twin = next((other for other in others if other.identity == aimed.intent.identity), None)
    if twin is not None:
        return (
            Problem(
                f"two projects are {aimed.intent.identity}: each would take the other's place",
                "give one of them another name, or another project in [tool]",
            ),
        )
    target = aimed.built.aim.target
    return target.clashes(aimed.intent, others) if isinstance(target, Together) else ()


def _one_at_a_time(confirm: Confirm) -> Callable[[str], bool]:
    """Questions of many, one after the other."""
    mutex = threading.Lock()

    def ask(text: str) -> bool:
        with mutex:
            return confirm(text)

    return ask

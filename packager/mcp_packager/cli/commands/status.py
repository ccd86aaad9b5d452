"""``mcp-pack status``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from mcp_packager.cli import output
from mcp_packager.cli.commands.deploy import address
from mcp_packager.cli.options import Common, common_options
from mcp_packager.cli.progress import Shown

if TYPE_CHECKING:
    from mcp_packager.pipeline.reports import StatusReport

_CLEAR = "\x1b[H\x1b[2J"


@click.command()
@click.option("--watch", is_flag=True, help="Look again every second, until you stop it with Ctrl-C.")
@common_options(targets=True)
def status(common: Common, *, watch: bool) -> None:
    """Show how each deployment is.

    With --watch a terminal is drawn anew; elsewhere there is a line whenever something changes, and with
    --json a document on a line of its own.
    """
    from mcp_packager.pipeline import operate

    if watch:
        with Shown(quiet=True) as progress:
            _follow(operate.watch(common.request(progress)), as_json=common.as_json)
        return
    with Shown(quiet=common.quiet) as progress:
        reports = operate.status(common.request(progress))
    if common.as_json:
        output.document("status", deployments=reports)
        return
    output.data("\n".join(_page(reports)))


def _follow(looks: Iterable[Sequence[StatusReport]], *, as_json: bool) -> None:
    said: dict[str, tuple[object, ...]] = {}
    for reports in looks:
        if not as_json and output.is_terminal(sys.stdout):
            click.echo(_CLEAR + "\n".join(_page(reports)), color=True)
            continue
        for report in reports:
            marks = _marks(report)
            if said.get(report.target) != marks:
                said[report.target] = marks
                _tell(report, as_json=as_json)
        sys.stdout.flush()


def _tell(report: StatusReport, *, as_json: bool) -> None:
    if as_json:
        output.json_line(command="status", deployments=(report,))
        return
    from datetime import UTC, datetime

    services = [
        f"{service.name} {'reachable' if service.reachable else 'not reachable'}" for service in report.services
    ]
    restarts = [] if report.restarts is None else [_counted(report.restarts, "restart")]
    release = [f"release {report.release}", f"version {report.version}"] if report.release else []
    words = ", ".join([report.state, *release, *restarts, *services, *report.detail[:1]])
    output.data(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {report.target} ({report.stage}): {words}")


def _marks(report: StatusReport) -> tuple[object, ...]:
    """What makes a look worth a line: everything but the passing of time."""
    return (report.state, report.release, report.restarts, report.replicas, report.services, report.detail[:1])


def _page(reports: Sequence[StatusReport]) -> Iterator[str]:
    header = ("target", "stage", "state", "release", "version", "replicas", "up", "restarts", "endpoint")
    rows = [
        (
            report.target,
            report.stage,
            report.state,
            report.release,
            report.version,
            report.replicas,
            _duration(report.uptime_seconds),
            report.restarts,
            address(report.endpoint),
        )
        for report in reports
    ]
    yield output.table(header, rows)
    for report in reports:
        for line in _below(report):
            yield f"{report.target}: {line}"


def _below(report: StatusReport) -> Iterator[str]:
    if report.digest is not None:
        yield f"artifact {report.digest}"
    if report.contract_hash is not None:
        yield f"contract {report.contract_hash}"
    for service in report.services:
        how = "reachable" if service.reachable else f"not reachable ({service.detail})"
        yield f"service {service.name} at {service.address}: {how}"
    yield from report.detail


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _duration(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {rest}s" if minutes else f"{rest}s"

"""``mcp-pack deploy``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from mcp_packager.cli import many, output
from mcp_packager.cli.asking import asker
from mcp_packager.cli.options import (
    Common,
    all_option,
    allow_breaking_option,
    artifact_option,
    common_options,
    yes_option,
)
from mcp_packager.cli.progress import Shown

if TYPE_CHECKING:
    from mcp_packager.pipeline.reports import DeployReport


_CALLERS: Final = {
    "bearer": "show one of its keys, as a bearer token",
    "jwt": "show a token of its issuer, as a bearer token",
    "oidc": "show a token of its issuer, as a bearer token",
    "iam": "sign their requests with credentials of the platform",
}
"""How they prove who they are, where they are asked."""


@click.command()
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="How long to wait for another deploy to end.  [default: not at all]",
)
@click.option(
    "--install-unit", is_flag=True, help="Start it again after a reboot, where the target can (local: systemd)."
)
@click.option("-v", "--verbose", is_flag=True, help="Print how long each phase and each change took.")
@artifact_option
@all_option
@allow_breaking_option
@yes_option
@common_options(targets=True, locked=True, contract=True)
def deploy(
    common: Common,
    *,
    artifact: str | None,
    every: bool,
    allow_breaking: bool,
    yes: bool,
    wait: float,
    install_unit: bool,
    verbose: bool,
) -> None:
    """Build, deploy and verify.

    The new release is started beside the old one where the target can do that, is asked for its contract, and
    takes over only then. What a deploy would replace or destroy is asked about first.

    With --all every tool of a workspace is built and judged, then deployed; a broken one stops none of the others.

    With --artifact nothing is built: one build can be put on every stage, and each stage gives it its own settings.
    """
    from mcp_packager.pipeline.aiming import Order

    order = Order(artifact, allow_breaking=allow_breaking, install_unit=install_unit)
    with Shown(quiet=common.quiet) as progress:
        request, confirm = common.request(progress), asker(yes=yes, progress=progress)
        if every:
            many.alone("--artifact", artifact)
            from mcp_packager.pipeline.fleet import deploy_all

            found = deploy_all(request, order, confirm=confirm, wait=wait)
        else:
            from mcp_packager.pipeline.deploy import deploy as make

            reports = make(request, order, confirm=confirm, wait=wait)
    if every:
        many.show(found, common=common, command="deploy", key="deployments", row=_row, header=_HEADER)
    else:
        show(reports, common=common, command="deploy", verbose=verbose)


_HEADER: Final = ("target", "stage", "result", "release", "version", "endpoint")


def _row(report: DeployReport) -> tuple[object, ...]:
    done = "deployed" if report.changed else "nothing to do"
    return report.target, report.stage, done, report.release, report.version, address(report.endpoint)


def show(reports: Sequence[DeployReport], *, common: Common, command: str, verbose: bool = False) -> None:
    """Print what a deploy or a rollback left."""
    if common.as_json:
        output.document(command, deployments=reports)
        return
    for report in reports:
        done = "deployed" if report.changed else "nothing to do"
        output.data(
            f"{output.bold(report.target)} ({report.stage}): {done}, release {report.release}, version {report.version}"
        )
        output.data(f"  endpoint: {address(report.endpoint)}")
        if asked := _CALLERS.get(report.endpoint.get("auth", "none")):
            output.data(f"  callers: {asked}")
        if report.verified:
            output.data(f"  verified: {'; '.join(report.verified)}")
        if report.unverified:
            output.data(f"  not verified: {'; '.join(report.unverified)}")
        for note in report.notes:
            output.data(f"  note: {note}")
        for name, seconds in report.seconds.items() if verbose else ():
            output.data(f"  {seconds:7.2f} s  {name}")


def address(endpoint: Mapping[str, Any] | None) -> str:
    """A URL, or a command as one would type it."""
    if not endpoint:
        return "-"
    if url := endpoint.get("url"):
        return str(url)
    command = endpoint.get("command")
    return shlex.join(map(str, command)) if isinstance(command, (list, tuple)) else str(command or "-")

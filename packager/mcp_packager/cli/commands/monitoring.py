"""``mcp-pack monitoring``."""

from __future__ import annotations

from pathlib import Path

import click

from mcp_packager.cli import output
from mcp_packager.cli.options import Common, common_options
from mcp_packager.cli.progress import Shown


@click.command()
@click.option(
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the files go.  [default: dist/monitoring/ in the project]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["prometheus", "kubernetes"]),
    default="prometheus",
    show_default=True,
    help="Alert rules as a rule file, or as a PrometheusRule of the Prometheus operator.",
)
@common_options(locked=True)
def monitoring(common: Common, *, folder: Path | None, form: str) -> None:
    """Write a Grafana dashboard and Prometheus alert rules.

    Both are made from the contract and are for one stage: each tool has its row and its own limit of time. The
    server shows its metrics where [serve.metrics] is set.
    """
    from mcp_packager.pipeline.monitoring import write

    with Shown(quiet=common.quiet) as progress:
        report = write(common.request(progress), output=folder, kubernetes=form == "kubernetes")
    if common.as_json:
        output.document("monitoring", monitoring=report)
        return
    output.data(str(report.dashboard))
    output.data(str(report.alerts))
    if not common.quiet:
        noun = "tool" if len(report.tools) == 1 else "tools"
        output.say(f"{len(report.tools)} {noun}, stage {report.stage}, contract {report.contract_hash[:12]}")
        if not report.shown:
            output.say("note: servers of this stage show no metrics: add [serve.metrics] to mcp-tool.toml, and deploy")

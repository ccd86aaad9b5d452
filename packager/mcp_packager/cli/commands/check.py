"""``mcp-pack check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mcp_packager.cli import output
from mcp_packager.cli.options import Common, common_options
from mcp_packager.cli.progress import Shown

if TYPE_CHECKING:
    from mcp_packager.pipeline.requests import CheckReport, Comparison


@click.command()
@common_options(targets=True, locked=True, contract=True)
def check(common: Common) -> None:
    """Check the project and show what changed for its clients.

    Reads the manifest, locks and imports the code, and shows what a client will see. With --target the
    result is compared with the last release there, and what would break a client is told from what would not.
    """
    from mcp_packager.pipeline.check import check as examine

    with Shown(quiet=common.quiet) as progress:
        report = examine(common.request(progress))
    if common.as_json:
        output.document("check", check=report)
        return
    output.data("\n".join(_lines(report)))


def _lines(report: CheckReport) -> list[str]:
    lines = [output.bold(f"{report.name} {report.version}") + f" is sound (contract {report.contract_hash[:12]})"]
    for kind, names in (("tools", report.tools), ("resources", report.resources), ("prompts", report.prompts)):
        if names:
            lines.append(f"  {kind + ':':<11}{', '.join(names)}")
    lines.extend(f"  note: {note}" for note in report.notes)
    for comparison in report.comparisons:
        lines.extend(comparison_lines(comparison))
    return lines


def comparison_lines(comparison: Comparison) -> list[str]:
    """What changed for clients on one target, the breaking changes first."""
    if comparison.release is None:
        return [f"{comparison.target}: no release yet, so there is nothing to compare with"]
    if not comparison.changes:
        return [f"{comparison.target}: clients see no change against release {comparison.release}"]
    lines = [f"{comparison.target}: against release {comparison.release}"]
    changes = sorted(comparison.changes, key=lambda change: (not change.breaking, change.kind, change.name))
    lines += [
        f"  {'BREAKING' if item.breaking else 'harmless'}  {item.kind} {item.name}: {item.what}" for item in changes
    ]
    return lines

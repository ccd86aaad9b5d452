"""``mcp-pack lock``."""

from __future__ import annotations

import click

from mcp_packager.cli import output
from mcp_packager.cli.options import Common, common_options
from mcp_packager.cli.progress import Shown


@click.command()
@click.option("--upgrade", is_flag=True, help="Take the newest versions that the requirements allow.")
@common_options(targets=True, locked=True)
def lock(common: Common, *, upgrade: bool) -> None:
    """Resolve the dependencies into mcp-tool.lock.

    The lock holds names, versions, files and hashes for every platform that the targets need. Commit it.
    With --locked nothing is written: the command fails where the lock does not fit the project any more.
    """
    from mcp_packager.pipeline.lock import lock as resolve

    with Shown(quiet=common.quiet) as progress:
        report = resolve(common.request(progress), upgrade=upgrade)
    if common.as_json:
        output.document("lock", lock=report)
        return
    verb = "written" if report.written else "unchanged"
    output.data(f"{report.path} {verb}: {report.packages} packages for {', '.join(report.platforms)}")
    for name, (old, new) in sorted(report.changes.items()):
        output.data(f"  {_change(name, old, new)}")


def _change(name: str, old: str | None, new: str | None) -> str:
    if old is None:
        return f"+ {name} {new}"
    if new is None:
        return f"- {name} {old}"
    return f"~ {name} {old} -> {new}"

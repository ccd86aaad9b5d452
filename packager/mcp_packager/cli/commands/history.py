"""``mcp-pack history``."""

from __future__ import annotations

import click

from mcp_packager.cli import output
from mcp_packager.cli.options import Common, common_options
from mcp_packager.cli.progress import Shown


@click.command()
@common_options(targets=True)
def history(common: Common) -> None:
    """List the releases, the newest first. The current one has a star.

    The last column says what the clients of the release before notice: none, harmless or breaking.
    """
    from mcp_packager.pipeline.operate import history as read

    with Shown(quiet=common.quiet) as progress:
        by_target = read(common.request(progress))
    if common.as_json:
        output.document("history", releases=by_target)
        return
    for target, releases in by_target.items():
        output.data(output.bold(target) if releases else f"{target}: no release yet")
        if not releases:
            continue
        header = ("release", "version", "when", "who", "outcome", "artifact", "contract", "change")
        rows = [
            (
                f"{release.release}{'*' if release.current else ''}",
                release.version,
                release.when,
                release.who,
                release.outcome,
                release.digest.removeprefix("sha256:")[:12],
                release.contract_hash[:12],
                release.contract_change,
            )
            for release in sorted(releases, key=lambda release: -release.release)
        ]
        output.data(output.table(header, rows))

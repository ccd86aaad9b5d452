"""``mcp-pack build``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mcp_packager.cli import output
from mcp_packager.cli.options import Common, common_options
from mcp_packager.cli.progress import Shown
from mcp_packager.cli.words import readable


@click.command()
@click.option(
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the artifacts go.  [default: dist/ in the project]",
)
@click.option("--timings", is_flag=True, help="Show how long each stage took.")
@common_options(targets=True, locked=True)
def build(common: Common, *, folder: Path | None, timings: bool) -> None:
    """Build the artifacts into dist/<target>/.

    Each folder holds the artifact and an artifact.json that names it: kind, path or digest, size, contract hash.
    """
    from mcp_packager.pipeline.build import build as make

    with Shown(quiet=common.quiet) as progress:
        reports = make(common.request(progress), output=folder)
    if common.as_json:
        output.document("build", builds=reports)
        return
    for report in reports:
        output.data(f"{output.bold(report.target)}: {_named(report.artifact)}")
        for file in report.files:
            output.data(f"  {file}")
        if timings:
            shares = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in report.seconds.items())
            output.data(f"  took {shares}")
        if report.untracked and not common.quiet:
            output.say(f"  took files that git does not track: {', '.join(report.untracked)}")


def _named(artifact: Mapping[str, Any]) -> str:
    name = artifact.get("digest") or artifact.get("sha256") or artifact.get("path") or ""
    size = artifact.get("size")
    return f"{artifact.get('kind', 'artifact')} {name}" + (f" ({readable(size)})" if isinstance(size, int) else "")

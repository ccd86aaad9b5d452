"""``mcp-pack build``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcp_packager.cli import many, output
from mcp_packager.cli.options import Common, all_option, common_options
from mcp_packager.cli.progress import Shown
from mcp_packager.cli.words import readable

if TYPE_CHECKING:
    from mcp_packager.pipeline.requests import BuildReport, ShippedReport


@click.command()
@click.option(
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the artifacts go.  [default: dist/ in the project]",
)
@click.option(
    "--push",
    metavar="REPOSITORY",
    help="Put images into REPOSITORY too, with bill of materials and provenance beside them.",
)
@click.option("--timings", is_flag=True, help="Show how long each stage took.")
@all_option
@common_options(targets=True, locked=True, contract=True)
def build(common: Common, *, folder: Path | None, push: str | None, timings: bool, every: bool) -> None:
    """Build the artifacts into dist/<target>/.

    Each folder holds the artifact and an artifact.json that names it: kind, path or digest, size, contract hash.

    A push sends what the registry does not have, and signs where MCP_PACK_SIGNING_KEY names a key, or
    MCP_PACK_SIGNING_IDENTITY whoever signs. What it prints last is what deploy --artifact takes.
    """
    if every:
        many.alone("--output", folder)
        many.alone("--push", push)
        _build_all(common)
        return
    from mcp_packager.pipeline.build import build as make

    with Shown(quiet=common.quiet) as progress:
        reports = make(common.request(progress), output=folder, push=push)
    if common.as_json:
        output.document("build", builds=reports)
        return
    for report in reports:
        output.data(f"{output.bold(report.target)}: {_named(report.artifact)}")
        for file in report.files:
            output.data(f"  {file}")
        if report.pushed is not None:
            output.data(f"  {_sent(report.pushed)}")
            output.data(f"  {report.pushed.reference}")
        if timings:
            shares = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in report.seconds.items())
            output.data(f"  took {shares}")
        if report.untracked and not common.quiet:
            output.say(f"  took files that git does not track: {', '.join(report.untracked)}")


def _build_all(common: Common) -> None:
    from mcp_packager.pipeline.fleet import build_all

    with Shown(quiet=common.quiet) as progress:
        found = build_all(common.request(progress))
    many.show(found, common=common, command="build", key="builds", row=_row, header=("target", "artifact"))


def _row(report: BuildReport) -> tuple[object, ...]:
    return report.target, _named(report.artifact)


def _sent(pushed: ShippedReport) -> str:
    """What a push did, in a line."""
    if not pushed.blobs and not pushed.documents:
        return f"pushed {pushed.tag}: everything was there"
    signed = "signed" if pushed.signed else "not signed"
    return (
        f"pushed {pushed.tag}: {pushed.blobs} blobs ({readable(pushed.bytes)}), "
        f"{pushed.documents} documents beside it, {signed}"
    )


def _named(artifact: Mapping[str, Any]) -> str:
    name = artifact.get("digest") or artifact.get("sha256") or artifact.get("path") or ""
    size = artifact.get("size")
    return f"{artifact.get('kind', 'artifact')} {name}" + (f" ({readable(size)})" if isinstance(size, int) else "")

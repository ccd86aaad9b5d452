"""``mcp-pack verify-image``."""

from __future__ import annotations

import click

from mcp_packager.cli import output
from mcp_packager.cli.options import Common, common_options
from mcp_packager.cli.progress import Shown

DOES_NOT_HOLD = 1


@click.command("verify-image")
@click.argument("reference")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="FILE",
    help="A public key in PEM form, or env:NAME; may be given several times. Its signature must be there.",
)
@click.option("--identity", metavar="NAME", help="Who must have signed, by sigstore's certificate; asks cosign.")
@click.option("--issuer", metavar="URL", help="Who vouches for that name, with --identity.")
@click.option(
    "--require",
    multiple=True,
    metavar="LIST",
    help="What must be there: sbom, provenance, signature; several with commas.",
)
@common_options()
def verify_image(
    common: Common,
    *,
    reference: str,
    keys: tuple[str, ...],
    identity: str | None,
    issuer: str | None,
    require: tuple[str, ...],
) -> None:
    """Check an image in a registry, and what is said about it there.

    Reads every layer of REFERENCE and holds it against manifest and configuration, the bill of materials against the
    layers, the provenance against both, and with --key or --identity the signatures of all. Exits with 1 where
    something does not hold.
    """
    from mcp_packager.pipeline.verify_image import verify_image as judge

    with Shown(quiet=common.quiet) as progress:
        found = judge(reference, keys=keys, identity=identity, issuer=issuer, require=require, progress=progress)
    if common.as_json:
        findings = [{"about": item.about, "result": item.held.value, "said": item.said} for item in found.findings]
        output.document(
            "verify-image", reference=found.reference, digest=found.digest, holds=found.holds, findings=findings
        )
    else:
        output.data(f"{output.bold(found.reference)} is {found.digest}")
        rows = [(item.held.value, item.about, item.said) for item in found.findings]
        output.data(output.table(("result", "what", "seen"), rows))
    if not found.holds:
        if not common.quiet:
            output.say("this image does not hold: do not run it, and find out who changed what")
        raise click.exceptions.Exit(DOES_NOT_HOLD)

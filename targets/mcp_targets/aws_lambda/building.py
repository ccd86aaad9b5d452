"""From a bundle to the artifact."""

from __future__ import annotations

import json
from typing import Any, Final

from mcp_packager.interpreters import Interpreter, find
from mcp_packager.manifest import Manifest
from mcp_packager.platforms import Platform
from mcp_packager.target import Artifact, BuildInput, identity_of
from mcp_targets.aws_lambda import image
from mcp_targets.aws_lambda.options import Options
from mcp_targets.aws_lambda.package import MOST_DIRECT, package
from mcp_targets.aws_lambda.place import where

ZIP: Final = "zip"
PYTHONS: Final = ("3.12", "3.13", "3.14")
"""The runtimes that are not deprecated (Lambda developer guide, "Lambda runtimes")."""

_FILE: Final = "function.zip"
TEMPLATE: Final = "template.json"
TERRAFORM: Final = "function.tf.json"
TRUST: Final = "role-trust.json"
RIGHTS: Final = "role-policy.json"
"""What is written beside it: for CloudFormation, for Terraform, and the role's two documents."""
_MACHINES: Final = {"arm64": "aarch64", "x86_64": "x86_64"}
_SYSTEM: Final = "manylinux_2_34"
"""What wheels may ask of Amazon Linux 2023, on which all these runtimes stand."""


def platforms(manifest: Manifest, options: Options) -> tuple[tuple[Platform, Interpreter], ...]:
    """The one platform of the function, with an interpreter at hand: for a zip of a version that Lambda has.

    Raises:
        UserError: there is none.
    """
    if image.is_image(options):
        interpreter, system = find(manifest.tool.python), image.SYSTEM
    else:
        interpreter, system = find(manifest.tool.python, minors=PYTHONS), _SYSTEM
    return ((Platform(interpreter.minor, f"{_MACHINES[options.architecture]}-{system}"), interpreter),)


def build(request: BuildInput, name: str) -> Artifact:
    """Write the zip or the image, and beside it what deploys it without mcp-pack; nothing is asked of AWS.

    Raises:
        UserError: the tool or its settings are larger than Lambda takes, or the base does not fit.
        WorldError: the registry of an image's base cannot be reached.
    """
    manifest, options = request.manifest, request.options
    if image.is_image(options):
        into = image.repository(identity_of(manifest), options, where(manifest, options))
        artifact = image.build(request, name, into, {"architecture": options.architecture})
    else:
        artifact = _zip(request, name)
    _write_beside(request, artifact, name)
    return artifact


def _zip(request: BuildInput, name: str) -> Artifact:
    ((platform, bundle),) = request.bundles.items()
    made = package(bundle, request.output / _FILE)
    facts: dict[str, Any] = {
        "architecture": request.options.architecture,
        "runtime": f"python{platform.python}",
        "unzipped": made.unzipped,
        "through_s3": made.size > MOST_DIRECT,
    }
    return Artifact(
        target=name,
        kind=ZIP,
        tool=request.manifest.tool.name,
        version=request.manifest.tool.version,
        digest=f"sha256:{made.sha256}",
        size=made.size,
        contract_hash=request.contract["hash"],
        path=_FILE,
        platform=str(platform),
        facts=facts,
    )


def _write_beside(request: BuildInput, artifact: Artifact, name: str) -> None:
    from mcp_targets.aws_lambda import cloudformation, terraform
    from mcp_targets.aws_lambda.alone import alone

    made = alone(request.manifest, request.options, artifact, name)
    region = where(request.manifest, request.options).region
    for file, document in (
        (TEMPLATE, cloudformation.template(made, artifact, region)),
        (TERRAFORM, terraform.configuration(made, artifact, region)),
        (TRUST, made.role.fields["trust"]),
        (RIGHTS, made.policy),
    ):
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        (request.output / file).write_text(text, encoding="utf-8")

"""From a bundle to the artifact."""

from __future__ import annotations

from typing import Any, Final

from mcp_packager.interpreters import Interpreter, find
from mcp_packager.manifest import Manifest
from mcp_packager.platforms import Platform
from mcp_packager.target import Artifact, BuildInput
from mcp_targets.aws_lambda.options import Options
from mcp_targets.aws_lambda.package import MOST_DIRECT, package

ZIP: Final = "zip"
PYTHONS: Final = ("3.12", "3.13", "3.14")
"""The runtimes that are not deprecated (Lambda developer guide, "Lambda runtimes")."""

_FILE: Final = "function.zip"
_MACHINES: Final = {"arm64": "aarch64", "x86_64": "x86_64"}
_SYSTEM: Final = "manylinux_2_34"
"""What wheels may ask of Amazon Linux 2023, on which all these runtimes stand."""


def platforms(manifest: Manifest, options: Options) -> tuple[tuple[Platform, Interpreter], ...]:
    """The one platform of the function, with an interpreter at hand that is a runtime's version.

    Raises:
        UserError: there is none.
    """
    interpreter = find(manifest.tool.python, minors=PYTHONS)
    return ((Platform(interpreter.minor, f"{_MACHINES[options.architecture]}-{_SYSTEM}"), interpreter),)


def build(request: BuildInput, name: str) -> Artifact:
    """Write the zip; nothing is asked of AWS.

    Raises:
        UserError: the tool is larger than Lambda takes.
    """
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

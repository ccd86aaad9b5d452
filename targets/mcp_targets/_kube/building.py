"""How an artifact for a cluster is built: its image, for the nodes' processors, and the objects as files beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from mcp_packager.errors import Place, Problem
from mcp_packager.interpreters import Interpreter, find
from mcp_packager.platforms import Platform
from mcp_packager.target import (
    Artifact,
    BuildInput,
    DesiredInput,
    Exposure,
    base_config,
    identity_of,
    image_artifact,
)
from mcp_targets._kube.site import Site

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

_SYSTEMS: Final = {"amd64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
"""What wheels may ask of the base, for each processor: Debian 12 and 13 give it, and every slim image of a Python."""


def platforms(manifest: Manifest, architectures: Sequence[str]) -> tuple[tuple[Platform, Interpreter], ...]:
    """Linux on every processor that is asked for, with the Python at hand."""
    interpreter = find(manifest.tool.python)
    return tuple(
        (Platform(interpreter.minor, _SYSTEMS[architecture]), interpreter)
        for architecture in sorted(set(architectures))
    )


def base_image(manifest: Manifest, base: str | None, dockerfile: str | None) -> str | None:
    """The image that the tool's layers stand on, unless a Dockerfile describes it."""
    if dockerfile is not None:
        return None
    return base or f"python:{find(manifest.tool.python).minor}-slim"


def built(
    request: BuildInput,
    target: str,
    repository: str,
    exposure: Exposure,
    site: Callable[[Artifact], Site],
    *,
    single: bool = False,
) -> Artifact:
    """Write the image as an OCI layout, and the objects for those who apply them by other means.

    Args:
        request: what the target was given.
        target: its name.
        repository: where the image will be, without tag.
        exposure: who reaches the tool.
        site: what the target adds to the objects of the artifact.
        single: whether the image is of one processor alone, and no index.
    """
    from mcp_packager.image import Recipe, assemble
    from mcp_targets._kube.emitting import write_files

    manifest, options = request.manifest, request.options
    described = options.dockerfile
    recipe = None if described is None else Recipe(manifest.project / described, manifest.project)
    made = assemble(request, single=single, recipe=recipe)
    artifact = image_artifact(request, target, made, repository)
    config = base_config(manifest, target, exposure)
    write_files(
        DesiredInput(manifest, options, identity_of(manifest), artifact, config), site(artifact), request.output
    )
    return artifact


def based_twice(manifest: Manifest, target: str, base: str | None, dockerfile: str | None) -> Iterator[Problem]:
    """An image to stand on that is said in two ways."""
    if dockerfile is not None and base is not None:
        yield Problem(
            "base and dockerfile both say what the tool's layers stand on",
            "keep one of them: a Dockerfile can begin FROM that base",
            Place(str(manifest.path), key=f"target.{target}.dockerfile"),
        )

"""``mcp-pack build --push``: images from ``dist`` into a registry."""

from __future__ import annotations

import os
from collections.abc import Sequence

from mcp_packager.errors import Problem, UsageError
from mcp_packager.pipeline.artifacts import Built
from mcp_packager.pipeline.project import Aim
from mcp_packager.pipeline.requests import ShippedReport
from mcp_packager.progress import Progress
from mcp_packager.target import IMAGE, Based


def pushable(repository: str, aims: Sequence[Aim]) -> None:
    """What can be known to be wrong with a push before anything is built.

    Raises:
        UserError: that is no repository, the key to sign with does not do, or cosign is to sign and not there.
        UsageError: no target makes an image.
    """
    from mcp_packager.image.shipping import repository_of, signers

    repository_of(repository)
    signers()
    if not any(isinstance(aim.target, Based) for aim in aims):
        names = ", ".join(aim.name for aim in aims)
        raise UsageError(Problem("there is no image to push", "name one with --target that makes one", found=names))


def load(aims: Sequence[Aim], *, push: bool) -> None:
    """Load what makes images, and what speaks to registries, ahead of its use: half of what the shortest push takes."""
    if any(isinstance(aim.target, Based) for aim in aims):
        import mcp_packager.image  # noqa: F401 - for whoever builds later in this process
    if push:
        import urllib3  # noqa: F401 - for whoever pushes later in this process


def pushed(built: Built, repository: str, *, progress: Progress) -> ShippedReport | None:
    """Put an artifact's image into a repository; ``None`` where the artifact is something else.

    Raises:
        UserError: we may not push there, or its tag must not change.
        WorldError: the registry cannot be reached, or refuses.
    """
    if built.artifact.kind != IMAGE:
        return None
    from mcp_packager.image import ship

    with progress.stage("push"):
        done = ship(built.folder, repository, environ=os.environ)
    return ShippedReport(
        tag=f"{done.reference.registry}/{done.reference.repository}:{done.reference.tag}",
        reference=str(done.reference.untagged),
        blobs=done.blobs,
        bytes=done.bytes,
        documents=done.documents,
        signed=done.signed,
    )

"""The images that targets' artifacts stand on: named by manifest or target, held by the lock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcp_packager.lock import Lock, with_images
from mcp_packager.pipeline.project import Aim
from mcp_packager.progress import Progress
from mcp_packager.target import Based

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest


def base_of(manifest: Manifest, aim: Aim) -> str | None:
    """The image that a target's artifact stands on; ``None`` for one that stands on none."""
    return aim.target.base_image(manifest, aim.options) if isinstance(aim.target, Based) else None


def with_bases(
    lock: Lock, manifest: Manifest, aims: Sequence[Aim], *, locked: bool, progress: Progress, upgrade: bool = False
) -> Lock:
    """The lock, with what the base images of all targets mean.

    Raises:
        UserError: there is no such image, or ``locked`` forbids a change.
        WorldError: its registry cannot be reached.
    """
    names = [name for aim in aims if (name := base_of(manifest, aim)) is not None]
    if not names:
        return lock

    def ask(name: str) -> str:
        from mcp_packager.image import digest_of, parse

        with progress.stage("base image"):
            return digest_of(parse(name, key="base"))

    return with_images(lock, names, ask, locked=locked, upgrade=upgrade)


def pinned(lock: Lock, name: str | None) -> str | None:
    """A base image by the digest that the lock holds for it."""
    return f"{name}@{lock.images[name]}" if name is not None and name in lock.images else name

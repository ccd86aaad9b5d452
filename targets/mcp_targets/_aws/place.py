"""Which account and region a deployment belongs to, from its target's options and the stage's pin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from mcp_packager.errors import Place, Problem

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest


class Placed(Protocol):
    """Options of a target that has a place in AWS."""

    @property
    def region(self) -> str | None:
        """The region, where the options say one."""
        ...

    @property
    def account(self) -> str | None:
        """The account, where the options say one."""
        ...


def region_of(manifest: Manifest | None, options: Placed) -> str | None:
    """The region; ``None`` where nothing says it."""
    return options.region or (manifest.pin.aws_region if manifest and manifest.pin else None)


def account_of(manifest: Manifest | None, options: Placed) -> str | None:
    """The account; ``None`` where nothing says it."""
    return options.account or (manifest.pin.aws_account if manifest and manifest.pin else None)


def unplaced(manifest: Manifest | None, options: Placed, target: str) -> Iterator[Problem]:
    """What of it is missing or contradicts itself; ``target`` is the target's name in the manifest."""
    file = None if manifest is None else str(manifest.path)
    for name, found, sample in (
        ("region", region_of(manifest, options), "eu-central-1"),
        ("account", account_of(manifest, options), "123456789012"),
    ):
        if found is None:
            yield Problem(
                f"the target {target} does not know which {name}",
                f'add {name} = "{sample}" to [target.{target}], or aws_{name} to the stage\'s [pin]',
                Place(file, key=f"target.{target}.{name}"),
            )
    pin = None if manifest is None else manifest.pin
    if pin is None:
        return
    for name, said, pinned in (
        ("region", options.region, pin.aws_region),
        ("account", options.account, pin.aws_account),
    ):
        if said is not None and pinned is not None and said != pinned:
            yield Problem(
                f"[target.{target}] and [pin] name two {name}s",
                "leave one of them away, or make them the same",
                Place(file, key=f"target.{target}.{name}"),
                expected=pinned,
                found=said,
            )

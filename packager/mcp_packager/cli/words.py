"""How deployments and sizes are called in questions and answers."""

from __future__ import annotations

from mcp_packager.cli.options import Common
from mcp_packager.cli.peek import peek


def deployments(common: Common) -> str:
    """For example ``text-stats (stage default) on local``."""
    seen = peek(common.project)
    targets = common.targets or seen.targets or ("local",)
    return f"{seen.name or 'the tool'} (stage {common.stage}) on {', '.join(targets)}"


def readable(size: int) -> str:
    """A number of bytes for people, for example ``3.4 MiB``."""
    amount = float(size)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"

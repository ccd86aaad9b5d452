"""The target ``local``."""

from mcp_targets.local.target import LocalTarget

target = LocalTarget()

__all__ = ["target"]

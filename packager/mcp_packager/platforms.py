"""Platforms: what a bundle is made for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

ARCHITECTURES: Final[Mapping[str, str]] = MappingProxyType({"x86_64": "amd64", "aarch64": "arm64"})
"""Processors as Linux and uv call them, and as images do: those that there are images for."""


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """A Python minor version on an operating system and machine.

    ``python`` is a minor version such as ``3.13``; ``tag`` is uv's platform name such as
    ``x86_64-manylinux_2_28`` or ``aarch64-apple-darwin``
    (https://docs.astral.sh/uv/reference/cli/#uv-pip-compile, ``--python-platform``).
    """

    python: str
    tag: str

    def __str__(self) -> str:
        return f"{self.python}-{self.tag}"

"""Platforms: what a bundle is made for."""

from __future__ import annotations

from dataclasses import dataclass


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

"""Which wheel of several fits a platform best."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from mcp_packager.errors import Problem, UsageError
from mcp_packager.platforms import Platform

_LEGACY_MANYLINUX = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
_OLDEST_GLIBC = 5
_DEFAULT_GLIBC = (2, 28)
_DEFAULT_MUSL = (1, 2)
_DEFAULT_MACOS = (13, 0)
"""What uv takes for a bare ``aarch64-apple-darwin`` (https://docs.astral.sh/uv/reference/cli/#uv-pip-compile)."""


@lru_cache(maxsize=32)
def ranks(platform: Platform) -> dict[Tag, int]:
    """Every tag that ``platform`` takes, best first: tag to rank, lower is better."""
    major, _, minor = platform.python.partition(".")
    version = (int(major), int(minor))
    names = list(_platforms(platform.tag))
    interpreter = f"cp{major}{minor}"
    ordered = [
        *cpython_tags(version, abis=[interpreter], platforms=names),
        *compatible_tags(version, interpreter, names),
    ]
    return {tag: rank for rank, tag in reversed(list(enumerate(ordered)))}


def best(filenames: Iterable[str], platform: Platform) -> str | None:
    """The file name that fits best, ``None`` where none does. Of equal ones the highest build number wins."""
    known = ranks(platform)
    rated: list[tuple[int, tuple[int, str], str]] = []
    for filename in sorted(filenames):
        try:
            _, _, build, tags = parse_wheel_filename(filename)
        except InvalidWheelFilename:
            continue
        rank = min((known[tag] for tag in tags if tag in known), default=None)
        if rank is not None:
            number = build or (0, "")
            rated.append((rank, (-number[0], number[1]), filename))
    return min(rated)[2] if rated else None


def fits(filename: str, platform: Platform) -> bool:
    """Whether a wheel runs on ``platform``."""
    return best((filename,), platform) is not None


def _platforms(tag: str) -> Iterator[str]:
    """Wheel platform names of one uv platform name, best first."""
    arch, _, system = tag.partition("-")
    if system == "apple-darwin":
        yield from mac_platforms(_DEFAULT_MACOS, "arm64" if arch == "aarch64" else arch)
    elif system == "pc-windows-msvc":
        yield {"x86_64": "win_amd64", "aarch64": "win_arm64"}.get(arch, "win32")
    elif system.startswith("musllinux_") or system == "unknown-linux-musl":
        yield from _musl(arch, _numbers(system, "musllinux_") or _DEFAULT_MUSL)
    elif system.startswith("manylinux") or system == "unknown-linux-gnu":
        yield from _glibc(
            arch, (2, 17) if system == "manylinux2014" else _numbers(system, "manylinux_") or _DEFAULT_GLIBC
        )
    else:
        raise UsageError(
            Problem(what=f"{tag} is no platform that wheels exist for", fix="Use a name such as x86_64-manylinux_2_28")
        )


def _numbers(system: str, prefix: str) -> tuple[int, int] | None:
    major, _, minor = system.removeprefix(prefix).partition("_")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None


def _glibc(arch: str, newest: tuple[int, int]) -> Iterator[str]:
    for minor in range(newest[1], _OLDEST_GLIBC - 1, -1):
        yield f"manylinux_2_{minor}_{arch}"
        if legacy := _LEGACY_MANYLINUX.get((2, minor)):
            yield f"{legacy}_{arch}"
    yield f"linux_{arch}"


def _musl(arch: str, newest: tuple[int, int]) -> Iterator[str]:
    for minor in range(newest[1], -1, -1):
        yield f"musllinux_1_{minor}_{arch}"
    yield f"linux_{arch}"

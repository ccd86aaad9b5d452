"""Of several wheels the one that fits a platform best, as pip and uv would choose."""

from __future__ import annotations

import pytest

from mcp_packager.errors import UsageError
from mcp_packager.lock.tags import best, fits
from mcp_packager.platforms import Platform

NEW, OLD, MUSL = "manylinux_2_28", "manylinux2014", "cp313-cp313-musllinux_1_2_x86_64"
X86_NEW, X86_OLD = Platform("3.13", f"x86_64-{NEW}"), Platform("3.13", f"x86_64-{OLD}")
X86_311, X86_MUSL = Platform("3.11", f"x86_64-{NEW}"), Platform("3.13", "x86_64-unknown-linux-musl")
ARM_NEW, MAC = Platform("3.13", f"aarch64-{NEW}"), Platform("3.13", "aarch64-apple-darwin")


def _wheel(tag: str) -> str:
    return f"x-1.0-{tag}.whl"


@pytest.mark.parametrize(
    ("platform", "offered", "chosen"),
    [
        (X86_NEW, [f"cp313-cp313-{OLD}_x86_64", f"cp313-cp313-{NEW}_x86_64"], f"cp313-cp313-{NEW}_x86_64"),
        (X86_OLD, [f"cp313-cp313-{NEW}_x86_64", f"cp313-cp313-{OLD}_x86_64"], f"cp313-cp313-{OLD}_x86_64"),
        (X86_NEW, ["py3-none-any", f"cp39-abi3-{OLD}_x86_64"], f"cp39-abi3-{OLD}_x86_64"),
        (X86_NEW, [f"cp39-abi3-{OLD}_x86_64", f"cp313-cp313-{OLD}_x86_64"], f"cp313-cp313-{OLD}_x86_64"),
        (X86_311, [f"cp313-cp313-{OLD}_x86_64", "py2.py3-none-any"], "py2.py3-none-any"),
        (ARM_NEW, [f"cp313-cp313-{NEW}_x86_64", f"cp313-cp313-{NEW}_aarch64"], f"cp313-cp313-{NEW}_aarch64"),
        (X86_NEW, [MUSL], None),
        (X86_MUSL, [MUSL, f"cp313-cp313-{NEW}_x86_64"], MUSL),
        (X86_NEW, [f"cp313-cp313t-{NEW}_x86_64"], None),
        (MAC, ["cp313-cp313-macosx_11_0_arm64", "cp313-cp313-macosx_10_13_x86_64"], "cp313-cp313-macosx_11_0_arm64"),
        (MAC, ["cp313-cp313-macosx_26_0_arm64"], None),
        (X86_NEW, ["not a wheel"], None),
        (X86_NEW, [], None),
    ],
)
def test_best(platform: Platform, offered: list[str], chosen: str | None) -> None:
    expected = _wheel(chosen) if chosen else None
    assert best([_wheel(name) for name in offered], platform) == expected
    assert best([_wheel(name) for name in reversed(offered)], platform) == expected


def test_the_higher_build_number_wins() -> None:
    names = ["x-1.0-2-py3-none-any.whl", "x-1.0-10-py3-none-any.whl", "x-1.0-py3-none-any.whl"]
    assert best(names, Platform("3.13", f"x86_64-{NEW}")) == "x-1.0-10-py3-none-any.whl"


def test_an_unknown_platform_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="plan9"):
        fits("x-1.0-py3-none-any.whl", Platform("3.13", "x86_64-plan9"))

"""What Lambda's limits come to, and what stands beside the bundle."""

from __future__ import annotations

import hashlib
import stat
import zipfile
from pathlib import Path

import pytest

from mcp_packager.bundle.entries import Bundle, Entry, Inline, inline
from mcp_packager.errors import UserError
from mcp_packager.platforms import Platform
from mcp_packager.store import Store
from mcp_targets.aws_lambda.package import HANDLER, MOST_UNZIPPED, WRAPPER, package

PLATFORM = Platform("3.13", "aarch64-manylinux_2_34")


def _claims(path: str, size: int) -> Entry:
    """An entry that says it is so large."""
    return Entry(path, 0o644, hashlib.sha256(b"").hexdigest(), size, Inline(b""))


def test_too_large_a_tool_is_refused_and_its_largest_packages_named(tmp_path: Path) -> None:
    sizes = {"lib/torch/big.so": MOST_UNZIPPED, "lib/numpy/core.so": 30 * 2**20, "lib/numpy.libs/blas.so": 2**20}
    entries = (*(_claims(path, size) for path, size in sizes.items()), inline("app/main.py", b""))
    with pytest.raises(UserError) as caught:
        package(Bundle(entries, PLATFORM, None), tmp_path / "function.zip")
    (problem,) = caught.value.problems
    assert problem.found == "281 MB: torch 250, numpy 31, app 0"
    assert 'package = "image"' in problem.fix
    assert not list(tmp_path.iterdir())


def test_what_lambda_starts_is_at_the_top(tmp_path: Path) -> None:
    bundle = Bundle((inline("app/main.py", b"pass\n"),), PLATFORM, None)
    made = package(bundle, tmp_path / "function.zip", store=Store(tmp_path / "store"))
    with zipfile.ZipFile(made.path) as archive:
        modes = {one.filename: stat.S_IMODE(one.external_attr >> 16) for one in archive.infolist()}
        module, name = HANDLER.split(".")
        assert f"\n{name} = " in archive.read(f"{module}.py").decode()
        for source in ("mcp_handler.py", "mcp_stream.py"):
            compile(archive.read(source), source, "exec")
    assert modes.pop(WRAPPER.removeprefix("/var/task/")) == 0o755
    assert set(modes.values()) == {0o644}

"""The tests' own package index answers uv, from this machine alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tests.index import wheelhouse


def test_every_wheel_is_where_the_listing_says() -> None:
    missing = [wheel.name for wheel in wheelhouse.wheels() if not wheel.is_file()]
    assert missing == []


def test_uv_resolves_the_runtime_for_another_platform_from_this_machine(tmp_path: Path) -> None:
    address = urlsplit(os.environ["UV_DEFAULT_INDEX"])
    assert address.hostname == "127.0.0.1"
    uv = Path(sys.executable).with_name("uv")
    lock = tmp_path / "pylock.toml"
    flags = ["--python-version", "3.13", "--python-platform", "aarch64-manylinux_2_28", "--only-binary", ":all:"]
    command = [str(uv), "pip", "compile", "-q", "-", *flags, "--format", "pylock.toml", "-o", str(lock)]
    subprocess.run(command, input="mcp>=2.3,<3\npydantic\n", text=True, check=True, cwd=tmp_path)
    found = lock.read_text()
    assert "_aarch64.whl" in found
    assert "_x86_64.whl" not in found

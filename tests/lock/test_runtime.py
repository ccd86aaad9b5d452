"""The runtime's own wheel: the same bytes from an editable copy, an installed one, and on every machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import mcp_packager
from mcp_packager.errors import WorldError
from mcp_packager.lock import runtime
from mcp_packager.process import run
from mcp_packager.store import Store


def test_it_holds_the_package_and_what_it_needs(store: Store) -> None:
    made = runtime.wheel(store)
    with zipfile.ZipFile(made.path) as archive:
        names = archive.namelist()
        metadata = archive.read("mcp_tool_runtime-0.1.0.dist-info/METADATA").decode()
        assert archive.testzip() is None
    assert {"mcp_tool/__init__.py", "mcp_tool/py.typed"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert "Requires-Dist: mcp<3,>=2.3" in metadata
    assert made.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()


def test_an_installed_copy_gives_the_same_wheel_as_an_editable_one(store: Store, tmp_path: Path) -> None:
    from uv import find_uv_bin

    made = runtime.wheel(store)
    home = tmp_path / "site"
    done = run([find_uv_bin(), "pip", "install", "--no-deps", "--target", home, "--python", sys.executable, made.path])
    assert done.ok, done.stderr
    packaging = Path(sys.modules["packaging"].__file__ or "").parents[1]
    root = Path(mcp_packager.__file__ or "").parents[1]
    code = (
        "import sys; sys.path[:0] = sys.argv[1:4]\n"
        "from pathlib import Path; from mcp_packager.lock import runtime; from mcp_packager.store import Store\n"
        "import importlib.util; assert importlib.util.find_spec('mcp_tool').origin.startswith(sys.argv[1])\n"
        "print(runtime.wheel(Store(Path(sys.argv[4]))).sha256)"
    )
    command: list[str | Path] = [sys.executable, "-S", "-P", "-c", code, home, root, packaging, tmp_path / "other"]
    umask = os.umask(0o077)
    try:
        printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/").stdout
    finally:
        os.umask(umask)
    assert printed.strip() == made.sha256


def test_requirements_of_an_extra_lose_its_marker() -> None:
    plain = {requirement.name for requirement in runtime.requirements(())}
    fast = {requirement.name: str(requirement) for requirement in runtime.requirements(["fast"])}
    assert {"mcp", "pydantic", "docstring-parser"} <= plain
    assert set(fast) - plain >= {"uvloop", "httptools"}
    assert "extra" not in fast["uvloop"]


def test_a_missing_runtime_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "DISTRIBUTION", "mcp-tool-runtime-that-is-not-here")
    runtime.facts.cache_clear()
    try:
        with pytest.raises(WorldError, match="is not installed beside mcp-pack"):
            runtime.facts()
    finally:
        runtime.facts.cache_clear()

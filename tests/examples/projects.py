"""Tool projects in the tests: where the examples are, a copy to work on, and their code as a bundle would hold it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = tuple(sorted(path.parent.name for path in ROOT.glob("examples/*/mcp-tool.toml")))


def copy_of(name: str, folder: Path) -> Path:
    """Copy an example into ``folder``, without what earlier runs left in it."""
    left = shutil.ignore_patterns("dist", "mcp-tool.lock", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache")
    return shutil.copytree(ROOT / "examples" / name, folder / name, ignore=left)


def run_tests(project: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a project's own tests the way its author does: pytest, in the project's folder."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "-rs"]
    return subprocess.run(
        command, cwd=project, env=os.environ | (env or {}), capture_output=True, text=True, check=False, timeout=120
    )


def contract_of(project: Path, tool: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
    """Have a child process import a project's code and say what its clients will see.

    Raises:
        AssertionError: it could not; the message holds what the child wrote.
    """
    bundle = scratch / "bundle"
    bundle.mkdir()
    source = project / "src"
    shutil.copytree(source if source.is_dir() else project, bundle / "app")
    (bundle / "tool.json").write_text(json.dumps({"schema": 1, "secrets": {}, "env": [], **tool}))
    output = scratch / "contract.json"
    child = subprocess.run(
        [sys.executable, "-P", "-m", "mcp_tool", "contract", "--bundle", str(bundle), "--output", str(output)],
        env=os.environ | {"PYTHONPATH": str(bundle / "app")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert output.is_file(), child.stdout + child.stderr
    document: dict[str, Any] = json.loads(output.read_text())
    assert child.returncode == 0, (document, child.stdout + child.stderr)
    return document

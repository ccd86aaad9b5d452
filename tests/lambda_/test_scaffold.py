"""The scaffold's own tests: they deploy it to moto, offline, and say what to install where they cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mcp_packager.scaffold import NewRequest, create

pytestmark = [pytest.mark.real("python3.13"), pytest.mark.timeout(600)]


def run(project: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run the project's tests as its author does, where mcp-pack is installed."""
    line = [sys.executable, "-c", f"{code}raise SystemExit(pytest.main(['-q', '-rs', '-p', 'no:cacheprovider']))"]
    return subprocess.run(line, cwd=project, capture_output=True, text=True, timeout=500, check=False)


def test_a_fresh_project_s_own_tests_deploy_it(tmp_path: Path) -> None:
    project = create(NewRequest(name="word-tools", folder=tmp_path / "word-tools", git=False)).folder
    done = run(project, "import pytest; ")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout, done.stdout
    without = run(project, "import sys, pytest; sys.modules['moto'] = None; ")
    assert without.returncode == 0, without.stdout + without.stderr
    assert "3 passed, 1 skipped" in without.stdout
    assert 'pip install "mcp-packager[testing]"' in without.stdout
    alone = run(project, "import sys, pytest; sys.modules['mcp_targets'] = None; ")
    assert alone.returncode == 0, alone.stdout + alone.stderr
    assert 'pip install "mcp-packager[testing]"' in alone.stdout

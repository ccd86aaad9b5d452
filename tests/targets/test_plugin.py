"""A target of somebody else's, installed beside the packager, passes the shared suite; the packager is as it is."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

PLUGIN = Path(__file__).with_name("plugin")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that sees what is installed here, and has the plugin besides, built and installed as a wheel."""
    folder = tmp_path_factory.mktemp("plugin") / "environment"
    venv.create(folder, symlinks=True)
    program = folder / "bin" / "python"
    here = sysconfig.get_path("purelib")
    there = sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)})
    Path(there, "here.pth").write_text(f"import site; site.addsitedir({here!r})\n", encoding="utf-8")
    uv = [sys.executable, "-m", "uv", "pip", "install", "--python", str(program)]
    options = ["--offline", "--no-deps", "--no-build-isolation", "--no-config", "--quiet"]
    subprocess.run([*uv, *options, str(PLUGIN)], check=True)
    return program


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_plugin_passes_the_shared_suite(python: Path, tmp_path: Path) -> None:
    options = ["-q", "-rs", "--noconftest", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={tmp_path}"]
    done = subprocess.run(
        [python, "-m", "pytest", *options, "--basetemp", str(tmp_path / "work"), str(PLUGIN / "suite_shed.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    # The shed has nobody to ask who is calling; everything else runs.
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert len(skipped) == 1
    assert "refuses [serve.auth]" in skipped[0]


def test_its_target_stands_in_the_table(python: Path) -> None:
    command = [str(python), "-c", "from mcp_packager.cli.main import main; main()", "targets"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert {"local", "shed"} <= set(listed)

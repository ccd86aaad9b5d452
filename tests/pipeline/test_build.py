"""Builds beside each other, again, and where nothing can be written."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.cli.process import command, run
from tests.pipeline.projects import CODE, data, ok, project


def test_builds_side_by_side_leave_one_whole_artifact(tmp_path: Path) -> None:
    folder = project(tmp_path / "a tool, schön")
    ok(folder, "lock")
    line = command(["build", "--quiet", "--project", str(folder)])
    builds = [subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(4)]
    for build in builds:
        out, _ = build.communicate(timeout=100)
        assert build.returncode == 0, out.decode()
    assert sorted(path.name for path in (folder / "dist").iterdir()) == ["local"]
    artifact = json.loads((folder / "dist" / "local" / "artifact.json").read_text(encoding="utf-8"))
    assert zipfile.ZipFile(folder / "dist" / "local" / artifact["path"]).testzip() is None


def test_the_same_again_is_the_same_and_an_edit_is_not(tmp_path: Path) -> None:
    folder = project(tmp_path / "tool")
    wheel = folder / "dist" / "local" / "shouter-1.0.0-py3-none-any.whl"
    (first,) = data(folder, "build")["builds"]
    bytes_then = wheel.read_bytes()
    (second,) = data(folder, "build")["builds"]
    assert (second["artifact"], wheel.read_bytes()) == (first["artifact"], bytes_then)
    project(folder, code=CODE + "\n# a remark\n")
    (third,) = data(folder, "build")["builds"]
    assert third["artifact"]["digest"] != first["artifact"]["digest"]
    assert third["artifact"]["contract_hash"] == first["artifact"]["contract_hash"]


def test_a_build_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    folder = project(tmp_path / "tool")
    ok(folder, "build")
    before = (folder / "dist" / "local" / "artifact.json").read_bytes()
    project(folder, code="import no_such_module\n")
    failed = run("build", "--project", str(folder))
    assert failed.returncode == 1
    assert "no_such_module" in failed.stderr
    assert "server.py:1" in failed.stderr
    assert (folder / "dist" / "local" / "artifact.json").read_bytes() == before


def test_output_goes_where_it_is_told(tmp_path: Path) -> None:
    folder = project(tmp_path / "tool")
    ok(folder, "build", "--output", str(tmp_path / "elsewhere"))
    assert (tmp_path / "elsewhere" / "local" / "artifact.json").is_file()
    assert not (folder / "dist").exists()


@pytest.mark.parametrize("where", ["file", "beneath a file"])
def test_an_output_that_cannot_be_a_folder_is_told(tmp_path: Path, where: str) -> None:
    folder = project(tmp_path / "tool")
    (tmp_path / "taken").write_text("", encoding="utf-8")
    output = tmp_path / "taken" if where == "file" else tmp_path / "taken" / "below"
    failed = run("build", "--project", str(folder), "--output", os.fspath(output))
    assert failed.returncode in {1, 2, 3}
    assert "taken" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert "crash" not in failed.stderr

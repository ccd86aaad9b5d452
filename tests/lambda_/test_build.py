"""A whole build, for a processor and a Python that are not this machine's: locked, compiled, zipped, the same twice."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, cast

import pytest

from mcp_packager.manifest import load
from mcp_packager.pipeline.build import build_one
from mcp_packager.pipeline.prepare import prepare
from mcp_packager.pipeline.project import Aim
from mcp_packager.progress import Silent
from mcp_targets.aws_lambda import building
from mcp_targets.aws_lambda.options import Options
from mcp_targets.aws_lambda.target import LambdaTarget
from tests.pipeline.projects import MANIFEST, project

TABLE = '[target.lambda]\nregion = "eu-central-1"\naccount = "123456789012"\n'


@pytest.mark.real("python3.13")
def test_for_arm(tmp_path: Path) -> None:
    text = MANIFEST.replace("[[verify", 'python = "==3.13.*"\ndependencies = ["numpy"]\n[[verify') + TABLE
    manifest = load(project(tmp_path / "shouter", manifest=text), options={"lambda": Options})
    aim = Aim("lambda", cast("Any", LambdaTarget()), manifest.targets["lambda"])
    prepared = prepare(manifest, [aim], locked=False, progress=Silent())
    built = build_one(prepared, aim, tmp_path / "dist", progress=Silent())
    again = build_one(prepared, aim, tmp_path / "other", progress=Silent())
    assert built.artifact == again.artifact
    for file in built.folder.iterdir():
        assert file.read_bytes() == (again.folder / file.name).read_bytes(), file.name
    assert built.artifact.platform == "3.13-aarch64-manylinux_2_34"
    assert built.artifact.facts["runtime"] == "python3.13"
    assert {building.TEMPLATE, building.TERRAFORM, building.TRUST, building.RIGHTS} <= {
        file.name for file in built.folder.iterdir()
    }
    with zipfile.ZipFile(built.folder / "function.zip") as archive:
        names = archive.namelist()
    assert any("cpython-313-aarch64-linux-gnu.so" in name for name in names)
    assert not [name for name in names if "x86_64" in name and name.endswith(".so")]
    assert "app/__pycache__/server.cpython-313.pyc" in names
    assert [name for name in names if name.startswith("lib/numpy-") and name.endswith(".dist-info/METADATA")]

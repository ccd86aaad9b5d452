"""The promise: the same tool, unchanged, on this machine and as a function of AWS, with the same contract and answers.

A fresh scaffold or an example at each run, all of them where everything is to run.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mcp_packager.testing import Pack
from tests import promise, sampling
from tests.conformance.suites import HERE, SUITES
from tests.lambda_.fake import ACCOUNT, REGION, running
from tests.lambda_.test_suite import ARCHITECTURE

pytestmark = [pytest.mark.real("lambda-emulator", "python3.13"), pytest.mark.timeout(900)]

_WORKSPACE = f"""\
{promise.WORKSPACE}
[defaults.target.lambda]
region = "{REGION}"
account = "{ACCOUNT}"
architecture = "{ARCHITECTURE}"
"""
_CASES = sampling.sampled(promise.TOOLS, 1, of="promise")
_NEEDS = {"notes-search": ("postgres",)}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.real(*_NEEDS.get(name, ()))]) for name in _CASES]
)
def test_one_tool_in_two_places(name: str, tmp_path: Path) -> None:
    (tmp_path / "mcp-workspace.toml").write_text(_WORKSPACE)
    (tmp_path / "aws").mkdir()
    with running(tmp_path / "aws") as cloud, promise.project(name, tmp_path) as (folder, environ):
        promise.alike(
            folder, ("local", "lambda"), {"MCP_PACK_HOME": str(tmp_path / "home"), **cloud.environ, **environ}
        )
        assert cloud.left() == []


@pytest.mark.skipif(not sampling.whole(), reason="whole runs alone: the suites see the same zip in test_conformance.py")
@pytest.mark.real("node-modules", "node22")
def test_the_conformance_suites_through_a_function_s_url(tmp_path: Path) -> None:
    (tmp_path / "mcp-workspace.toml").write_text(_WORKSPACE)
    for name in ("aws", "seen"):
        (tmp_path / name).mkdir()
    folder = shutil.copytree(HERE / "fixture", tmp_path / "fixture", ignore=shutil.ignore_patterns("__pycache__"))
    with running(tmp_path / "aws") as cloud:
        pack = Pack(folder, "lambda", {"MCP_PACK_HOME": str(tmp_path / "home"), **cloud.environ})
        url = pack.deploy()["endpoint"]["url"]
        for suite, run in SUITES.items():
            (tmp_path / "seen" / suite).mkdir()
            run(url, tmp_path / "seen" / suite)
        pack.run("destroy", "--yes", "--data")
        assert cloud.left() == []

"""A workspace: what stands under each tool's file, what no tool may change, and where its problems are shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mcp_packager.errors import Problem, UserError
from mcp_packager.manifest import Manifest, load, workspace

from .conftest import LocalOptions
from .samples import SMALLEST

OPTIONS = {"local": LocalOptions}


def tool(root: Path, text: str = SMALLEST, *, at: str = "tools/words") -> Path:
    folder = root / at
    folder.mkdir(parents=True)
    (folder / "mcp-tool.toml").write_text(text)
    return folder


def read(folder: Path, stage: str = "default") -> Manifest:
    return load(folder, stage, options=OPTIONS)


def problems(folder: Path) -> list[Problem]:
    with pytest.raises(UserError) as caught:
        read(folder)
    return list(caught.value.problems)


def test_defaults_stand_under_what_the_tool_says(tmp_path: Path) -> None:
    (tmp_path / workspace.FILE_NAME).write_text(
        """
[workspace]
project = "team"
[defaults]
env = { REGION = "eu", LEVEL = "info" }
[defaults.serve]
timeout = "90s"
concurrency = 7
[defaults.target.local]
port = 9000
[stage.prod.serve]
timeout = "10s"
[stage.prod.env]
LEVEL = "error"
"""
    )
    folder = tool(
        tmp_path, SMALLEST + '[env]\nLEVEL = "debug"\n[serve]\nconcurrency = 3\n[stage.prod.env]\nTHIRD = "x"\n'
    )
    base, prod = read(folder), read(folder, "prod")
    assert base.tool.project_id == "team"
    assert base.env == {"REGION": "eu", "LEVEL": "debug"}
    assert (base.serve.timeout, base.serve.concurrency) == (90.0, 3)
    assert prod.env == {"REGION": "eu", "LEVEL": "error", "THIRD": "x"}
    assert prod.serve.timeout == 10.0
    assert base.targets == {"local": LocalOptions(port=9000)}


def test_a_tool_goes_where_it_says_else_where_the_workspace_says(tmp_path: Path) -> None:
    (tmp_path / workspace.FILE_NAME).write_text(
        '[workspace]\ntargets = ["local"]\n[defaults.target.local]\nport = 9000\n'
    )
    assert read(tool(tmp_path, at="a")).aims == ("local",)
    (tmp_path / workspace.FILE_NAME).write_text("[defaults.target.local]\nport = 9000\n")
    assert read(tool(tmp_path, at="b")).aims == ()
    assert read(tool(tmp_path, SMALLEST + "[target.local]\n", at="c")).aims == ("local",)


def test_a_locked_key_is_refused_wherever_the_tool_writes_it(tmp_path: Path) -> None:
    (tmp_path / workspace.FILE_NAME).write_text(
        '[workspace]\nlocked = ["target.local.port", "serve.auth"]\n[defaults.target.local]\nport = 9000\n'
    )
    text = SMALLEST + '[serve.auth]\nmode = "none"\n[stage.prod.target.local]\nport = 1234\n'
    found = problems(tool(tmp_path, text))
    assert [(problem.where.key, problem.what) for problem in found] == [
        ("serve.auth", "serve.auth is locked by the workspace"),
        ("stage.prod.target.local.port", "target.local.port is locked by the workspace"),
    ]
    assert all(problem.where.line and str(tmp_path / workspace.FILE_NAME) in problem.fix for problem in found)


def test_what_is_wrong_in_the_workspace_is_shown_there(tmp_path: Path) -> None:
    path = tmp_path / workspace.FILE_NAME
    path.write_text('[defaults.serve]\ntimeout = "soon"\n[defaults.target.local]\nprt = 1\n')
    found = problems(tool(tmp_path))
    assert [(problem.where.file, problem.where.line, problem.where.key) for problem in found] == [
        (str(path), 2, "defaults.serve.timeout"),
        (str(path), 4, "defaults.target.local.prt"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[defaults.tool]\nversion = "1"\n', "[tool] is each tool's own"),
        ("[defaults.sevre]\n", "unknown key 'sevre'"),
        ("[workspce]\n", "unknown key 'workspce'"),
        ('[workspace]\nmembers = ["../x"]\n', "leaves the project"),
        ('[workspace]\nlocked = ["a b"]\n', "has the wrong value"),
        ("[workspace\n", "not valid TOML"),
    ],
)
def test_a_wrong_workspace_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / workspace.FILE_NAME).write_text(text)
    (problem,) = problems(tool(tmp_path))
    assert said in problem.what
    assert problem.where.file == str(tmp_path / workspace.FILE_NAME)
    assert problem.where.line in {1, 2}


def test_a_project_that_is_no_member_is_on_its_own(tmp_path: Path) -> None:
    (tmp_path / workspace.FILE_NAME).write_text('[workspace]\nmembers = ["tools/*"]\n[defaults.serve]\ntimeout = 1\n')
    assert read(tool(tmp_path)).serve.timeout == 1.0
    assert read(tool(tmp_path, at="other/words")).serve.timeout == 60.0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_somebody_elses_file_above_a_project_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / workspace.FILE_NAME
    path.write_text("[defaults.serve]\ntimeout = 1\n")
    os.chown(path, 12345, 12345)
    assert read(tool(tmp_path)).serve.timeout == 60.0


def test_members_are_found_with_a_file_and_without(tmp_path: Path) -> None:
    made = [tool(tmp_path, at=at) for at in ("tools/a", "tools/b", "more/deep/c", ".hidden/d", "node_modules/e")]
    assert workspace.members(tmp_path) == (made[2], made[0], made[1])
    (tmp_path / workspace.FILE_NAME).write_text('[workspace]\nmembers = ["tools/*"]\n')
    assert workspace.members(tmp_path) == (made[0], made[1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no tool project"):
        workspace.members(tmp_path / "empty")

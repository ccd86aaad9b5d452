"""A workspace's tools side by side, by the command line: what is wrong with one is told, and stops none."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from mcp_packager.cli.main import run as in_process
from tests.cli.process import run
from tests.pipeline.projects import CODE, MANIFEST, destroyed_afterwards, project


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "mcp-workspace.toml").write_text(
        '[workspace]\nproject = "team"\nmembers = ["*"]\ntargets = ["local"]\n[defaults.serve]\ntimeout = "7s"\n'
    )
    for name in ("one", "two"):
        project(tmp_path / name, manifest=MANIFEST.replace('"shouter"', f'"{name}"'))
    return tmp_path


def told(folder: Path, command: str, *arguments: str, code: int = 0) -> dict[str, Any]:
    answer = run(command, "--all", "--project", str(folder), "--json", *arguments)
    assert answer.returncode == code, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


async def _shouted(url: str) -> str:
    async with Client(url) as client:
        answer = await client.call_tool("shout", {"text": "abc"})
        return str(answer.structured_content["result"]) if answer.structured_content else ""


def test_a_broken_tool_stops_none_of_the_others(workspace: Path) -> None:
    project(workspace / "broken", code="def broken(:", manifest=MANIFEST.replace('"shouter"', '"broken"'))
    with destroyed_afterwards(workspace / "one"), destroyed_afterwards(workspace / "two"):
        found = told(workspace, "deploy", code=1)
        broken, one, two = found["tools"]
        assert [each["tool"] for each in found["tools"]] == ["broken", "one", "two"]
        assert "SyntaxError" in broken["problems"][0]["what"]
        assert broken["deployments"] == []
        for each in (one, two):
            (deployment,) = each["deployments"]
            assert asyncio.run(_shouted(deployment["endpoint"]["url"])) == "ABC"
        (workspace / "broken" / "server.py").unlink()
        (workspace / "broken" / "mcp-tool.toml").unlink()
        again = told(workspace, "deploy")
        assert [each["deployments"][0]["changed"] for each in again["tools"]] == [False, False]
        assert told(workspace, "plan", "--exit-code")["exit_code"] == 0
        project(workspace / "two", code=CODE.replace("upper()", "upper() + '!'"), manifest=_named("two"))
        assert run("plan", "--all", "--exit-code", "--project", str(workspace)).returncode == 4
        shown = run("deploy", "--all", "--project", str(workspace))
        assert [line.split()[0:6] for line in shown.stdout.splitlines()[1:3]] == [
            ["one", "local", "default", "nothing", "to", "do"],
            ["two", "local", "default", "deployed", "2", "1.0.0"],
        ]


def _named(name: str) -> str:
    return MANIFEST.replace('"shouter"', f'"{name}"').replace('"HELLO"', '"HELLO!"')


def test_two_projects_of_one_name_are_both_refused(workspace: Path) -> None:
    project(workspace / "twin", manifest=MANIFEST.replace('"shouter"', '"one"'))
    with destroyed_afterwards(workspace / "two"):
        one, twin, two = told(workspace, "deploy", code=1)["tools"]
        for each in (one, twin):
            assert "two projects are team/one (default)" in each["problems"][0]["what"]
        assert two["deployments"][0]["changed"] is True


def test_what_is_about_one_tool_is_refused_beside_all(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in (["build", "--all", "--push", "r/x"], ["plan", "--all", "--artifact", "x"]):
        assert in_process([*arguments, "--project", str(workspace)]) == 2
        assert "is about one tool" in capfd.readouterr().err


def test_a_folder_without_tools_is_told(tmp_path: Path) -> None:
    answer = run("build", "--all", "--project", str(tmp_path))
    assert answer.returncode == 1
    assert "there is no tool project in" in answer.stderr

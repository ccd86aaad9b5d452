"""``mcp-pack monitoring`` of a real project: what it writes, where, and what it leaves when it cannot."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mcp_packager.cli.main import run as run_command
from mcp_packager.cli.root import root
from tests.monitoring import promtool

MANIFEST = """[tool]
name = "words"
entrypoint = "words"

[serve]
timeout = "30s"

[stage.prod.serve]
timeout = "2m"

[stage.prod.serve.metrics]
port = 9464
"""
CODE = '''from mcp_tool import tool


@tool
def count(text: str) -> int:
    """Count the words."""
    return len(text.split())


@tool(timeout="1s")
def index(text: str) -> int:
    """Find the first space."""
    return text.find(" ")
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "mcp-tool.toml").write_text(MANIFEST)
    (folder / "words.py").write_text(CODE)
    return folder


def call(*arguments: str) -> Result:
    return CliRunner().invoke(root, ["monitoring", *arguments], catch_exceptions=False)


@pytest.mark.real("promtool")
def test_it_writes_a_dashboard_and_rules_for_the_stage(project: Path) -> None:
    shown = call("--project", str(project), "--stage", "prod")
    folder = project / "dist" / "monitoring"
    assert shown.stdout.split() == [str(folder / "dashboard.json"), str(folder / "alerts.yaml")]
    assert "2 tools, stage prod, contract " in shown.stderr
    assert "note" not in shown.stderr
    board = json.loads((folder / "dashboard.json").read_text())
    assert board["title"] == "MCP: words (prod)"
    assert [row["title"] for row in board["panels"] if row["type"] == "row"][2:] == ["count", "index"]
    promtool.check(folder / "alerts.yaml")
    rules = (folder / "alerts.yaml").read_text()
    # The shorter of the stage's and the tool's own timeout holds.
    assert 'timeout: "120s"' in rules
    assert 'timeout: "1s"' in rules
    assert 'stage=\\"prod\\"' in rules


def test_a_stage_without_metrics_is_told(project: Path) -> None:
    assert "note: servers of this stage show no metrics: add [serve.metrics]" in call("--project", str(project)).stderr
    assert call("--project", str(project), "--quiet").stderr == ""


def test_its_document_says_what_it_wrote(project: Path, tmp_path: Path) -> None:
    shown = call("--project", str(project), "--format", "kubernetes", "--output", str(tmp_path / "out"), "--json")
    report = json.loads(shown.stdout)
    assert report["command"] == "monitoring"
    assert report["monitoring"]["shown"] is False
    assert report["monitoring"]["tools"] == ["count", "index"]
    assert report["monitoring"]["alerts"] == str(tmp_path / "out" / "alerts.yaml")
    assert not (project / "dist").exists()
    assert (tmp_path / "out" / "alerts.yaml").read_text().startswith('apiVersion: "monitoring.coreos.com/v1"\n')
    check = json.loads(CliRunner().invoke(root, ["check", "--project", str(project), "--json"]).stdout)
    assert report["monitoring"]["contract_hash"] == check["check"]["contract_hash"]


def test_the_same_project_gives_the_same_bytes(project: Path) -> None:
    folder = project / "dist" / "monitoring"
    call("--project", str(project))
    first = {file.name: file.read_bytes() for file in folder.iterdir()}
    call("--project", str(project))
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == first
    assert set(first) == {"dashboard.json", "alerts.yaml"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o644}


def test_a_project_that_is_wrong_leaves_the_files_of_before(project: Path) -> None:
    folder = project / "dist" / "monitoring"
    call("--project", str(project))
    first = {file.name: file.read_bytes() for file in folder.iterdir()}
    (project / "words.py").write_text("import nothing_of_that_name\n")
    assert run_command(["monitoring", "--project", str(project)]) == 1
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == first


def test_a_place_that_cannot_be_written_is_a_problem_with_a_fix(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "dist").write_text("in the way")
    assert run_command(["monitoring", "--project", str(project)]) == 3
    said = capsys.readouterr().err
    assert "cannot be written" in said
    assert "Traceback" not in said

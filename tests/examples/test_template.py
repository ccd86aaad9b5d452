"""tool_template/ as cookiecutter renders it, without mcp-pack's help."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mcp_packager import manifest
from tests.examples.projects import ROOT, contract_of, run_tests

TEMPLATE = ROOT / "tool_template"
WORKFLOW = TEMPLATE / "{{cookiecutter.slug}}" / ".github" / "workflows" / "mcp-tool.yml"


def rendered(folder: Path, **settings: str) -> Path:
    """Render the template with cookiecutter's own command."""
    given = [f"{key}={value}" for key, value in settings.items()]
    command = [
        str(Path(sys.executable).with_name("cookiecutter")),
        "--no-input",
        "--output-dir",
        str(folder),
        str(TEMPLATE),
    ]
    subprocess.run([*command, *given], check=True, capture_output=True, env=os.environ | {"HOME": str(folder)})
    project = folder / settings.get("slug", settings.get("name", "my-tool"))
    assert project.is_dir()
    return project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return rendered(tmp_path, name="word-tools", description='Says "hello" \\ with <care>')


def test_nothing_is_left_to_fill_in(project: Path) -> None:
    files = [path for path in project.rglob("*") if path.is_file()]
    assert {"README.md", ".gitignore", "mcp-tool.toml", "pyproject.toml", "tools.py"} <= {path.name for path in files}
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert "cookiecutter" not in text + str(path.relative_to(project)), path
        assert "{%" not in text, path
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path


def test_the_manifest_is_one_and_says_where_its_schema_is(project: Path) -> None:
    loaded = manifest.load(project)
    assert (loaded.tool.name, loaded.tool.entrypoint) == ("word-tools", "word_tools.tools")
    assert loaded.tool.description == 'Says "hello" \\ with <care>'
    assert loaded.tool.version == tomllib.loads((project / "pyproject.toml").read_text())["project"]["version"]
    first = (project / "mcp-tool.toml").read_text().splitlines()[0]
    assert first == "#:schema ./.mcp-pack/mcp-tool.schema.json"


def test_its_tests_pass(project: Path) -> None:
    ran = run_tests(project)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout


def test_its_contract(project: Path, tmp_path: Path) -> None:
    contract = contract_of(
        project, {"name": "word-tools", "version": "0.1.0", "entrypoint": "word_tools.tools"}, tmp_path
    )
    (greet,) = contract["tools"]
    assert greet["definition"]["inputSchema"]["properties"]["name"]["description"] == "Whom to greet."
    assert greet["definition"]["annotations"]["readOnlyHint"] is True


def test_it_is_as_tidy_as_this_project(project: Path) -> None:
    ruff = str(Path(sys.executable).with_name("ruff"))
    for command in (
        ["check", "--select", "E,F,I,UP,B,ANN,SIM,RUF", "--line-length", "120"],
        ["format", "--check", "--line-length", "120"],
    ):
        done = subprocess.run(
            [ruff, *command, "--no-cache", "."], cwd=project, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_the_workflow_is_valid() -> None:
    checker = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [checker, "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_is_copied_as_it_is(project: Path) -> None:
    copied = project / ".github" / "workflows" / WORKFLOW.name
    assert copied.read_bytes() == WORKFLOW.read_bytes()


@pytest.mark.parametrize(
    ("name", "package"), [("a", "a"), ("three-word-name", "three_word_name"), ("Mixed Case", "mixed_case")]
)
def test_names(tmp_path: Path, name: str, package: str) -> None:
    project = rendered(tmp_path, name=name, slug=package.replace("_", "-"))
    assert (project / "src" / package / "tools.py").is_file()
    assert manifest.load(project).tool.name == package.replace("_", "-")


@pytest.mark.slow
def test_it_passes_its_workflows_steps_and_is_deployed_untouched(project: Path) -> None:
    steps = re.findall(r"- run: (mcp-pack (?:check|test|build).*)", WORKFLOW.read_text())
    assert len(steps) == 3
    # What the author does before the first push: the lock is made, and committed.
    assert "is sound" in _run(project, "mcp-pack check")
    for step in steps:
        _run(project, step)
    try:
        assert "call greet answered as expected" in _run(project, "mcp-pack deploy --yes --locked --target local")
        assert _run(project, "mcp-pack invoke greet name=Ada").strip() == "Hello, Ada!"
    finally:
        _run(project, "mcp-pack destroy --yes --target local")


def _run(project: Path, line: str) -> str:
    program, *arguments = line.split()
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    return done.stdout

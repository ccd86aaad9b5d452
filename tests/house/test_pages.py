"""The project's pages and pins tell the truth."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

import mcp_packager
from mcp_packager import manifest
from tests import real_parts
from tests.house.tree import ROOT, modules, texts


def _version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def test_one_version_everywhere() -> None:
    runtime = tomllib.loads((ROOT / "runtime" / "pyproject.toml").read_text())["project"]["version"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert mcp_packager.__version__ == _version() == runtime
    assert f"mcp-tool-runtime=={_version()}" in project["dependencies"]


def test_the_changelog_has_the_version() -> None:
    assert re.search(rf"^## \[{re.escape(_version())}\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/testing.md"])
def test_the_pages_name_commands_that_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    makefile = (ROOT / "Makefile").read_text()
    goals = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`|\n)\s*make ([a-z-]+)", text))
    assert named - goals == set()


def test_the_readme_names_the_commands_of_the_cli() -> None:
    from mcp_packager.cli.root import root

    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"(?:^|`)\s*(?:\$ )?mcp-pack ([a-z][a-z-]+)", text, re.MULTILINE))
    context = root.make_context("mcp-pack", ["schema"], resilient_parsing=True)
    assert named - set(root.list_commands(context)) == set()
    assert named


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "docs/testing.md"])
def test_links_to_files_lead_somewhere(page: str) -> None:
    base = (ROOT / page).parent
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text())
    assert [link for link in links if not (base / link).exists()] == []


def test_what_ci_may_skip_is_told_with_its_reason() -> None:
    text = (ROOT / "docs" / "testing.md").read_text()
    assert [part for part in real_parts.OPTIONAL_IN_CI if f"`{part}`" not in text] == []


def test_every_real_part_is_told() -> None:
    text = (ROOT / "docs" / "testing.md").read_text()
    assert [part for part in real_parts.PARTS if f"`{part}`" not in text] == []


def test_markers_name_parts_that_are_known() -> None:
    import ast

    unknown = [
        f"{name}:{node.lineno}: {argument.value!r}"
        for name, module in modules("tests")
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.real")
        for argument in node.args
        if isinstance(argument, ast.Constant) and argument.value not in real_parts.PARTS
    ]
    assert unknown == []


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-tools.txt"])
def test_constraints_are_exact_hashed_and_name_no_index(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "//" not in text
    pins = re.findall(r"^[a-z0-9][^\s]*.*?(?=^[a-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
    assert pins
    assert [pin.splitlines()[0] for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == []


def test_the_node_packages_are_exact() -> None:
    wanted = json.loads((ROOT / "tests" / "node" / "package.json").read_text())
    versions = [*wanted["dependencies"].values(), *wanted["optionalDependencies"].values()]
    exact = re.compile(r"^(?:npm:@?[\w/-]+@)?\d+\.\d+\.\d+(?:-[\w.]+)?$")
    assert [version for version in versions if not exact.match(version)] == []
    assert [str(name) for name, _ in texts() if name.name in {"package-lock.json", "uv.lock"}] == []


def test_the_manifests_in_the_readme_are_sound(tmp_path: Path) -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for number, block in enumerate(blocks):
        project = tmp_path / str(number)
        (project / "src" / "word_tools").mkdir(parents=True)
        (project / "src" / "word_tools" / "tools.py").touch()
        (project / "mcp-tool.toml").write_text(block)
        assert manifest.load(project).tool.name == "word-tools"

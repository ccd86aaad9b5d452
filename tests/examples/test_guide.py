"""docs/authoring.md: every block of code in it is loaded, and its tests are run."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mcp_packager import manifest
from tests.examples.projects import ROOT, contract_of, run_tests

GUIDE = (ROOT / "docs" / "authoring.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)


class Section(NamedTuple):
    """A section's files, by the name in the comment that each block starts with."""

    title: str
    files: dict[str, str]


def _sections() -> list[Section]:
    found = []
    for part in re.split(r"^## ", GUIDE, flags=re.MULTILINE)[1:]:
        files: dict[str, str] = {}
        for block in _BLOCK.finditer(part):
            if block["language"] in {"python", "toml"}:
                first = block["body"].splitlines()[0]
                assert re.fullmatch(r"# [\w.-]+\.(py|toml)", first), f"a block without the name of its file: {first}"
                files[first.removeprefix("# ")] = block["body"]
        if files:
            found.append(Section(part.splitlines()[0], files))
    return found


SECTIONS = _sections()


def _with(start: str) -> pytest.MarkDecorator:
    """Run a test for each section that has a file of such a name."""
    chosen = [section for section in SECTIONS if any(name.startswith(start) for name in section.files)]
    return pytest.mark.parametrize("section", chosen, ids=[section.title for section in chosen])


def _written(section: Section, folder: Path) -> Path:
    project = folder / "project"
    project.mkdir()
    for name, text in section.files.items():
        (project / name).write_text(text, encoding="utf-8")
    return project


def test_the_guide_has_its_parts() -> None:
    assert len(SECTIONS) >= 13
    listed = re.findall(r"^- \[(.+)\]\(#(.+)\)$", GUIDE, re.MULTILINE)
    titles = re.findall(r"^## (.+)$", GUIDE, re.MULTILINE)
    assert [title for title, _ in listed] == titles
    assert [anchor for _, anchor in listed] == [re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles]


@pytest.mark.parametrize("section", SECTIONS, ids=[section.title for section in SECTIONS])
def test_a_sections_code_makes_a_contract(section: Section, tmp_path: Path) -> None:
    project = _written(section, tmp_path)
    named: dict[str, Any] = {"name": "guide", "version": "0.1.0", "entrypoint": "tools"}
    if "mcp-tool.toml" in section.files:
        found = tomllib.loads(section.files["mcp-tool.toml"])
        named |= {"secrets": {name: {"as": "env", "required": True} for name in found.get("secrets", {})}}
        named |= {"entrypoint": found["tool"]["entrypoint"]}
    contract = contract_of(project, named, tmp_path)
    shown = [*contract["tools"], *contract["resources"], *contract["templates"], *contract["prompts"]]
    assert shown
    assert all(one["definition"]["description"] for one in shown)


@_with("test_")
def test_a_sections_tests_pass(section: Section, tmp_path: Path) -> None:
    ran = run_tests(_written(section, tmp_path))
    assert ran.returncode == 0, ran.stdout + ran.stderr


@_with("mcp-tool.toml")
def test_a_sections_manifest_is_one(section: Section, tmp_path: Path) -> None:
    assert manifest.load(_written(section, tmp_path)).tool.entrypoint

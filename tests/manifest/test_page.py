"""``docs/manifest.md`` names every key with its default and meaning, and its examples load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import Project
from .pages import rows

PAGE = (Path(__file__).parents[2] / "docs" / "manifest.md").read_text("utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
MINIMUM = '[tool]\nname = "ledger"\nentrypoint = "server"\n'


@pytest.mark.parametrize(("key", "row"), tuple(rows()), ids=[key for key, _ in rows()])
def test_each_key_has_its_row(key: str, row: str) -> None:
    assert row in PAGE.splitlines()


def test_the_page_has_no_other_keys() -> None:
    known = {key for key, _ in rows()}
    told = set(re.findall(r"^\| `([a-z_.]+)` \| ", PAGE, re.MULTILINE))
    assert told - {"env"} <= known


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_load(project: Project, example: str) -> None:
    text = example if "[tool]" in example else MINIMUM + example
    manifest = project.load(text, options={})
    assert manifest.tool.name in {"word-count", "ledger"}
    for stage in manifest.stages:
        project.load(text, stage, options={})

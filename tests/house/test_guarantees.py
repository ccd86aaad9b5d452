"""``docs/guarantees.md`` promises nothing that no test holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house.tree import ROOT, modules

_LINE = re.compile(r"^\| (?P<guarantee>.+?) \| (?P<tests>.*) \|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def _promised() -> list[tuple[str, list[tuple[str, str]]]]:
    """Each line's guarantee and the tests it names, without the tables' heads."""
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    lines = [(found["guarantee"], _TEST.findall(found["tests"])) for found in _LINE.finditer(page)]
    return [(guarantee, tests) for guarantee, tests in lines if guarantee != "guarantee"]


def _tests() -> dict[str, set[str]]:
    """The names of the test functions of each module, also of those that stand in classes."""
    return {
        name.as_posix(): {
            node.name
            for node in ast.walk(module)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        }
        for name, module in modules("tests")
    }


def test_every_guarantee_is_held_by_tests_that_exist() -> None:
    known = _tests()
    missing = {
        f"{file}::{test}": [name for name, tests in known.items() if test in tests]  # where it went, if it did
        for _, tests in _promised()
        for file, test in tests
        if test not in known.get(file, set())
    }
    assert missing == {}


def test_no_guarantee_stands_alone() -> None:
    promised = _promised()
    assert len(promised) > 30
    assert [guarantee for guarantee, tests in promised if not tests] == []


def test_nothing_in_the_tables_is_left_out_by_the_reader_of_this_test() -> None:
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    assert len(_TEST.findall(page)) == page.count("::test_") == sum(len(tests) for _, tests in _promised())


@pytest.mark.parametrize(
    ("file", "test", "there"),
    [
        (Path(__file__).relative_to(ROOT).as_posix(), "test_no_guarantee_stands_alone", True),
        (Path(__file__).relative_to(ROOT).as_posix(), "test_that_nobody_wrote", False),
    ],
)
def test_a_test_that_is_not_there_is_noticed(file: str, test: str, there: bool) -> None:
    assert (test in _tests()[file]) is there

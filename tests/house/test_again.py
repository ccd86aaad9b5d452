"""The second look at what failed: it hides no failure."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests import again

STEADY = "def test_it():\n    assert True\n"
BROKEN = "def test_it():\n    assert False\n"
SOMETIMES = """
import pathlib

def test_it():
    marks = pathlib.Path(__file__).with_name("marks")
    marks.open("a").write("x")
    assert len(marks.read_text()) != 2
"""


def looked(folder: Path, source: str, copies: int = 1) -> int:
    tests = {}
    for number in range(copies):
        file = folder / f"test_{number}.py"
        file.write_text(source)
        tests[f"{file}::test_it"] = True
    cache = folder / "lastfailed"
    cache.write_text(json.dumps(tests))
    return again.main(["-c", os.devnull, "-p", "no:pytest_cov", "--rootdir", str(folder)], cache)


def test_what_passes_twice_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert looked(tmp_path, STEADY) == 0
    told = capfd.readouterr().out
    assert f"unsteady, passed 2 times after a failure:\n  {tmp_path / 'test_0.py'}::test_it" in told


@pytest.mark.parametrize("source", [BROKEN, SOMETIMES])
def test_what_fails_again_is_broken(tmp_path: Path, source: str) -> None:
    assert looked(tmp_path, source) == 1


def test_many_failures_are_no_matter_of_steadiness(tmp_path: Path) -> None:
    assert looked(tmp_path, STEADY, copies=5) == 1


def test_a_session_that_failed_for_another_reason_stays_failed(tmp_path: Path) -> None:
    assert again.main([], tmp_path / "nothing") == 1

"""What no tracked file may hold, and what every exception to a checker must say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.tree import texts

# Written with a space and joined here, so that this file does not break its own rules.
_HOSTS = "pypi .org|pythonhosted .org|registry.npmjs .org|npmjs .com/|static.crates .io"
_PATHS = r"(?<![\w.$}])/ (?:root|work|farm|Users/[a-z]+|home/(?!you/)[a-z]+)/\w"
_LATER = r"\b(?:TO DO|FIX ME|XX X)\b"
_REASONLESS = r"#\s*(?:type:\s*ignore(?:\[[^\]]+\])?|noqa(?::\s*[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*)?)(?P<rest>.*)$"
_SILENCED = re.compile(_REASONLESS)


def _found(spaced: str) -> list[str]:
    pattern = re.compile(spaced.replace(" ", ""))
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_machine_paths() -> None:
    assert _found(_PATHS) == []


def test_no_package_registry_is_named() -> None:
    assert _found(_HOSTS) == []


def test_nothing_is_left_for_later() -> None:
    assert _found(_LATER) == []


def test_a_silenced_checker_says_why() -> None:
    bare = []
    for name, text in texts():
        if name.suffix != ".py" or name.name == "test_texts.py":
            continue
        for number, line in enumerate(text.splitlines(), 1):
            found = _SILENCED.search(line)
            if found and not _gives_reason(found["rest"]):
                bare.append(f"{name}:{number}: {line.strip()[:100]}")
    assert bare == []


def _gives_reason(rest: str) -> bool:
    following = _SILENCED.search(rest)
    return _gives_reason(following["rest"]) if following else re.search(r"[A-Za-z]{3,}", rest) is not None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x = 1  # noqa: E501", False),
        ("x = 1  # type: ignore[arg-type]", False),
        ("x = 1  # noqa: E501  # the table reads better in one line", True),
        ("x = 1  # type: ignore[misc]  # noqa: E501  # the types are open", True),
    ],
)
def test_the_rule_for_silenced_checkers_can_fail(line: str, reason: bool) -> None:
    found = _SILENCED.search(line)
    assert found
    assert _gives_reason(found["rest"]) is reason


def test_files_end_with_one_newline() -> None:
    kinds = {".py", ".toml", ".md", ".json", ".yml", ".yaml", ".txt"}
    assert [str(name) for name, text in texts() if name.suffix in kinds and text and not _ends_well(name, text)] == []


def _ends_well(name: Path, text: str) -> bool:
    return text.endswith("\n") and (not text.endswith("\n\n") or name.parts[0] == "tool_template")

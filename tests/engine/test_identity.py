from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_packager.target import Alphabet, Identity

NAMES = st.text(min_size=1, max_size=80)


def test_readable_and_exact() -> None:
    assert re.fullmatch(r"word-count-[0-9a-f]{8}", Identity("word-count", "word-count").name())
    assert re.fullmatch(r"shop-word-count-live-role-[0-9a-f]{8}", Identity("shop", "word-count", "live").name("role"))


@given(NAMES, NAMES, NAMES, st.integers(20, 64))
def test_within_length_and_alphabet_whatever_the_words(project: str, tool: str, stage: str, length: int) -> None:
    name = Identity(project, tool, stage).name(alphabet=Alphabet(length))
    assert len(name) <= length
    assert re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", name)


@given(st.tuples(NAMES, NAMES, NAMES), st.tuples(NAMES, NAMES, NAMES))
def test_two_identities_never_share_a_name(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert (Identity(*one).name() == Identity(*other).name()) is (one == other)


def test_parts_cannot_be_confused_with_stages() -> None:
    names = {
        Identity("a", "b", "c").name(),
        Identity("a", "b").name("c"),
        Identity("a", "b-c").name(),
        Identity("a-b", "c").name(),
    }
    assert len(names) == 4


@pytest.mark.parametrize("separator", ["-", "_"])
def test_another_separator(separator: str) -> None:
    assert separator in Identity("x", "my tool").name(alphabet=Alphabet(30, separator))

"""Any bytes in: a manifest or problems out, never another exception, and never a hang."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import tomli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_packager.errors import UserError
from mcp_packager.manifest import Manifest, load

from .conftest import OPTIONS
from .emit import toml
from .samples import EVERYTHING

_FUZZ = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
_WORDS = EVERYTHING.replace("\n", " \n ").split(" ")


def judge(folder: Path, data: bytes) -> Manifest | UserError:
    """The only two ways out; each problem must be fit to be shown."""
    (folder / "mcp-tool.toml").write_bytes(data)
    try:
        return load(folder, options=OPTIONS)
    except UserError as error:
        told = error
    assert told.problems
    for problem in told.problems:
        assert problem.what
        assert problem.fix
        assert all(char.isprintable() or char == "\n" for char in str(problem)), repr(str(problem))
    return told


@_FUZZ
@given(data=st.binary(max_size=2000))
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    judge(tmp_path, data)


@_FUZZ
@given(text=st.text(max_size=2000))
def test_any_text(tmp_path: Path, text: str) -> None:
    judge(tmp_path, text.encode("utf-8", "surrogatepass"))


@_FUZZ
@given(
    words=st.lists(
        st.sampled_from(
            [*_WORDS, "[", "]", "[[", "]]", "{", "}", '"', "'", ".", ",", "=", "\n", "#", "inf", "nan", "-1"]
        ),
        max_size=80,
    )
)
def test_words_of_the_format(tmp_path: Path, words: list[str]) -> None:
    judge(tmp_path, " ".join(words).encode())


@_FUZZ
@given(cut=st.integers(0, len(EVERYTHING)), length=st.integers(0, 40), put=st.text(max_size=20))
def test_a_valid_file_with_a_piece_replaced(tmp_path: Path, cut: int, length: int, put: str) -> None:
    text = EVERYTHING[:cut] + put + EVERYTHING[cut + length :]
    judge(tmp_path, text.encode("utf-8", "surrogatepass"))


_LEAF = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.datetimes(),
    st.just({}),
    st.just([]),
)
_TREE = st.recursive(_LEAF, lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(st.text(), below)))


@_FUZZ
@given(value=_TREE, which=st.integers(0, 10_000))
def test_a_valid_file_with_a_value_of_another_kind(tmp_path: Path, value: object, which: int) -> None:
    data = tomli.loads(EVERYTHING)
    places: list[tuple[object, object]] = []
    waiting: list[object] = [data]
    while waiting:
        here = waiting.pop()
        pairs = here.items() if isinstance(here, dict) else enumerate(here) if isinstance(here, list) else ()
        for key, below in pairs:
            places.append((here, key))
            waiting.append(below)
    container, key = places[which % len(places)]
    container[key] = value  # type: ignore[index]  # a table or an array, with a key of its own
    judge(tmp_path, toml(data).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("seed", range(20))
def test_lines_in_another_order(tmp_path: Path, seed: int) -> None:
    lines = EVERYTHING.splitlines()
    random.Random(seed).shuffle(lines)
    judge(tmp_path, "\n".join(lines).encode())

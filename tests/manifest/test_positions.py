"""The second scan of a file finds the same keys as tomli, each where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import tomli
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_packager.manifest.positions import line_and_column, scan

from .emit import toml
from .samples import EVERYTHING


def paths(data: Any, head: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, below in pairs:
        yield (*head, key)
        yield from paths(below, (*head, key))


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)
_VALUE = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False), _TEXT, st.datetimes()),
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(_TEXT, below, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(data=st.dictionaries(_TEXT, _VALUE, max_size=5))
def test_the_same_keys_as_tomli(data: dict[str, Any]) -> None:
    text = toml(data)
    read = tomli.loads(text)
    assert set(scan(text)) == set(paths(read))


@settings(max_examples=40, deadline=None)
@given(data=st.dictionaries(_TEXT, _VALUE, max_size=3))
def test_the_same_keys_as_tomli_in_files_with_headers(data: dict[str, Any]) -> None:
    text = tomlkit.dumps(data)
    assert set(scan(text)) == set(paths(tomli.loads(text)))


@pytest.mark.parametrize(
    "text",
    [
        EVERYTHING,
        'a.b.c = 1\na.b.d = 2\n[x.y]\nz = 3 # "q" = [\n[x]\nw = {p = 1, q.r = "}", s = [1, {t = 2}]}\n',
        "[[a]]\nb = 1\n[[a.c]]\nd = 1\n[[a.c]]\nd = 2\n[a.e]\nf = 1\n[[a]]\nb = 2\n[[a.c]]\nd = 3\n",
        "a = [\n  1, # one ]\n  [2,\n   3],\n]\nb = 'x\\'\n\"c d\".'e.f' = 1\n",
        'a = """x\n"" b = 1 \\""" c"""\nd = \'\'\'y\n\'\' e = 2\'\'\'\nf = """q""""" \ng = 1\n',
        'a = 1979-05-27 07:32:00 # a day\nb = 07:32:00\n"\\u0063" = +inf\n[ t . "u" ]\nv = 1e5',
        'a = ""\nb = \'\'\nc = """"""\nd = \'\'\'\'\'\'\ne = "\\\\"\nf = 1\n"" = 2\n',
        "  [ a ]  # x\n  b = 1\n\t[[ c ]]\n\td = [ ]\n e = { }\n",
    ],
)
def test_forms_of_the_syntax(text: str) -> None:
    assert set(scan(text)) == set(paths(tomli.loads(text)))


def test_where_keys_and_values_stand() -> None:
    text = '[serve]\n  timeout = "x"\n\n[[verify.call]]\ntool = "a"\n[[verify.call]]\n"tööl" = [1, {a = 2}]\n'
    spots = scan(text)

    def at(*path: str | int) -> tuple[tuple[int, int], tuple[int, int]]:
        spot = spots[path]
        return line_and_column(text, spot.key), line_and_column(text, spot.value)

    assert at("serve") == ((1, 2), (1, 2))
    assert at("serve", "timeout") == ((2, 3), (2, 13))
    assert at("verify", "call", 0, "tool") == ((5, 1), (5, 8))
    assert at("verify", "call", 1) == ((6, 3), (6, 3))
    assert at("verify", "call", 1, "tööl") == ((7, 1), (7, 10))
    assert at("verify", "call", 1, "tööl", 1, "a") == ((7, 15), (7, 19))

"""The position-keeping parser: what it reads, what it refuses, and that its spans are true."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_packager.client_config.jsonc import JsoncError, Node, parse, place

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.sampled_from([None, 2, "\t"]))
def test_plain_json_reads_as_the_standard_library_reads_it(value: object, indent: int | str | None) -> None:
    text = json.dumps(value, indent=indent)
    assert parse(text).value == json.loads(text)


@given(st.text(alphabet='{}[]":,/* \n\\abc01tre-.', max_size=40))
def test_anything_is_read_or_refused_with_a_place(text: str) -> None:
    node = read(text)
    if isinstance(node, Node):
        check_spans(text, node)
    else:
        assert 0 <= node.position <= len(text)
        assert min(place(text, node.position)) >= 1


def read(text: str) -> Node | JsoncError:
    try:
        return parse(text)
    except JsoncError as error:
        return error


def check_spans(text: str, node: Node) -> None:
    if node.items is None:
        assert json.loads(text[node.start : node.end]) == node.value
        return
    assert text[node.start] + text[node.end - 1] in {"{}", "[]"}
    for item in node.items:
        assert item.comma is None or text[item.comma] == ","
        check_spans(text, item.node)


def test_comments_and_trailing_commas() -> None:
    text = '// top\n{ /* a */ "a": [1, 2,], // end\n "b": "//not a comment", }\n/* last */'
    assert parse(text).value == {"a": [1, 2], "b": "//not a comment"}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", (1, 1)),
        ("{", (1, 2)),
        ('{"a" 1}', (1, 6)),
        ('{"a": 1 "b": 2}', (1, 9)),
        ("{a: 1}", (1, 2)),
        ('{"a": 01}', (1, 7)),
        ('{"a": tru}', (1, 7)),
        ('{"a": "x\n"}', (1, 7)),
        ('{"a": "\\q"}', (1, 7)),
        ("{}\n\n  x", (3, 3)),
        ("{} /* open", (1, 4)),
        ("[1,,2]", (1, 4)),
        ("[,]", (1, 2)),
    ],
)
def test_a_broken_text_is_refused_at_its_place(text: str, where: tuple[int, int]) -> None:
    with pytest.raises(JsoncError) as caught:
        parse(text)
    assert place(text, caught.value.position) == where


def test_deep_nesting_is_refused_not_followed() -> None:
    with pytest.raises(JsoncError, match="levels deep"):
        parse("[" * 100_000)

"""Edits leave every character alone that they do not mean."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_packager.client_config.edit import NotAnObjectError, append, drop, put
from mcp_packager.client_config.jsonc import parse

SETTINGS = """{
    // my servers
    "mcpServers": {
        "other": { "command": "x", "args": ["1"] }, // keep
    },
    "theme": "dark" // last
}
"""


def test_a_member_is_added_after_the_last_in_its_style() -> None:
    assert (
        put(SETTINGS, ("mcpServers", "mine"), {"command": "y"})
        == """{
    // my servers
    "mcpServers": {
        "other": { "command": "x", "args": ["1"] }, // keep
        "mine": {
            "command": "y"
        },
    },
    "theme": "dark" // last
}
"""
    )


def test_a_comma_goes_before_the_comment_of_the_last_member() -> None:
    assert put(SETTINGS, ("new",), 1).endswith('    "theme": "dark", // last\n    "new": 1\n}\n')


def test_missing_objects_on_the_way_are_made() -> None:
    assert json.loads(put("{}", ("a", "b"), 1)) == {"a": {"b": 1}}


def test_an_object_with_only_a_comment_keeps_it() -> None:
    assert put('{\n  "a": {\n    // nothing yet\n  }\n}', ("a", "b"), 1) == (
        '{\n  "a": {\n    // nothing yet\n    "b": 1\n  }\n}'
    )


def test_one_line_stays_one_line() -> None:
    assert put('{"a": {"b": 1}}', ("a", "c"), 2) == '{"a": {"b": 1, "c": 2}}'


def test_an_equal_value_changes_nothing_and_true_is_not_one() -> None:
    text = '{"a": {"c": 1,   "b": 2}}'
    assert put(text, ("a",), {"b": 2, "c": 1}) == text
    assert put('{"a": 1}', ("a",), True) == '{"a": true}'


def test_line_ends_and_tabs_are_the_documents() -> None:
    text = '{\r\n\t"a": {\r\n\t\t"b": 1\r\n\t}\r\n}\r\n'
    assert put(text, ("a", "c"), {"d": 1}) == (
        '{\r\n\t"a": {\r\n\t\t"b": 1,\r\n\t\t"c": {\r\n\t\t\t"d": 1\r\n\t\t}\r\n\t}\r\n}\r\n'
    )


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ('{\n  "a": 1,\n  "b": 2\n}', "a", '{\n  "b": 2\n}'),
        ('{\n  "a": 1,\n  "b": 2\n}', "b", '{\n  "a": 1\n}'),
        ('{"a": 1}', "a", "{}"),
        ('{"a": 1, "b": 2, "c": 3}', "b", '{"a": 1, "c": 3}'),
        ('{\n  "a": 1, // one\n  "b": 2\n}', "b", '{\n  "a": 1 // one\n}'),
        ('{"a": 1}', "x", '{"a": 1}'),
    ],
)
def test_a_member_leaves_with_its_comma(text: str, key: str, expected: str) -> None:
    left = drop(text, (key,))
    assert left == expected
    assert key not in parse(left).value


def test_the_member_that_readers_take_is_the_one_that_is_changed() -> None:
    assert put('{"a": 1, "a": 2}', ("a",), 3) == '{"a": 1, "a": 3}'


def test_append_adds_to_an_array_or_makes_it() -> None:
    assert parse(append('{"inputs": [\n  1 // one\n]}', ("inputs",), 2)).value == {"inputs": [1, 2]}
    assert parse(append("{}", ("inputs",), 2)).value == {"inputs": [2]}


def test_something_else_in_the_way_is_said_with_its_place() -> None:
    with pytest.raises(NotAnObjectError) as caught:
        put('{"a": 5}', ("a", "b"), 1)
    assert caught.value.position == 6


NAMES = st.text(alphabet="abc", min_size=1, max_size=2)
OBJECTS = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
).filter(lambda value: isinstance(value, dict))


@given(OBJECTS, NAMES, NAMES, st.integers(), st.sampled_from([None, 2, "\t"]), st.booleans())
def test_putting_and_dropping_mean_what_they_say(
    before: dict[str, object], key: str, name: str, value: int, indent: int | str | None, comment: bool
) -> None:
    text = json.dumps(before, indent=indent)
    if comment and indent is not None:
        text = text.replace("\n", " // said,\n")
    if isinstance(before.get(key, {}), dict):
        expected = {**before, key: {**before.get(key, {}), name: value}}  # type: ignore[dict-item]  # it is a mapping
        after = put(text, (key, name), value)
        assert parse(after).value == expected
        assert put(after, (key, name), value) == after
    left = drop(text, (key,))
    assert parse(left).value == {other: item for other, item in before.items() if other != key}

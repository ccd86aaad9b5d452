"""What breaks a client and what does not: the table of ``docs/contract.md``, case by case."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mcp_packager.contract.compare import ContractChange, announcing, compare, needs_major
from mcp_packager.contract.schemas import refusals

from .cases import (
    ARGUMENT,
    BOOL,
    HARMLESS,
    INT,
    NULL,
    NUM,
    OTHER,
    STR,
    TOOL,
    TREE,
    TREE_TEXT,
    Json,
    arguments,
    array,
    contract,
    tool,
)


def changes_of(before: Json, after: Json) -> tuple[ContractChange, ...]:
    return compare(contract(tools=[before]), contract(tools=[after]))


def verdict(changes: tuple[ContractChange, ...]) -> bool | None:
    return None if not changes else any(change.breaking for change in changes)


@pytest.mark.parametrize(("what", "before", "after", "expected"), ARGUMENT, ids=[case[0] for case in ARGUMENT])
def test_an_argument(what: str, before: Json, after: Json, expected: bool | None) -> None:
    changes = changes_of(tool(takes=arguments(x=before)), tool(takes=arguments(x=after)))
    assert verdict(changes) is expected, changes
    if expected:
        assert any("argument x" in change.what for change in changes), changes


@pytest.mark.parametrize(("what", "before", "after", "expected"), ARGUMENT, ids=[case[0] for case in ARGUMENT])
def test_the_same_behind_a_reference(what: str, before: Json, after: Json, expected: bool | None) -> None:
    def referred(schema: Json) -> Json:
        return {**arguments(x={"$ref": "#/$defs/X", "description": "x"}), "$defs": {"X": schema}}

    assert verdict(changes_of(tool(takes=referred(before)), tool(takes=referred(after)))) is expected


@pytest.mark.parametrize(("what", "before", "after", "expected"), TOOL, ids=[case[0] for case in TOOL])
def test_a_tool(what: str, before: Json, after: Json, expected: bool) -> None:
    changes = changes_of(before, after)
    assert verdict(changes) is expected, changes


@pytest.mark.parametrize(("what", "before", "after", "expected"), OTHER, ids=[case[0] for case in OTHER])
def test_everything_else(
    what: str, before: Mapping[str, list[Json]], after: Mapping[str, list[Json]], expected: bool
) -> None:
    changes = compare(contract(**before), contract(**after))
    assert verdict(changes) is expected, changes
    assert all(change.what for change in changes)


def test_the_page_has_every_case() -> None:
    page = (Path(__file__).parents[2] / "docs" / "contract.md").read_text("utf-8")
    cases = [(case[0], case[3]) for case in (*ARGUMENT, *TOOL, *OTHER) if case[3] is not None]
    missing = [
        f"| {what} | {'breaking' if breaking else 'harmless'} |"
        for what, breaking in cases
        if f"| {what} | {'breaking' if breaking else 'harmless'} |" not in page
    ]
    assert missing == []
    assert page.count("| breaking |") + page.count("| harmless |") == len(cases)


def test_recursive_schemas_end() -> None:
    before = {**arguments(x={"$ref": "#/$defs/Tree"}), "$defs": {"Tree": TREE}}
    after = {**arguments(x={"$ref": "#/$defs/Tree"}), "$defs": {"Tree": TREE_TEXT}}
    assert verdict(changes_of(tool(takes=before), tool(takes={**before, "description": "d"}))) is HARMLESS
    (change,) = changes_of(tool(takes=before), tool(takes=after))
    assert change.breaking
    assert "x.value" in change.what


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}},
        {"$ref": "#/$defs/Nowhere"},
        {"$ref": "#"},
        {"anyOf": [{"$ref": "#"}, STR]},
        {"allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"allOf": [{"$ref": "#/$defs/A"}]}}},
        {"anyOf": [{"anyOf": [{"anyOf": [STR, INT]}]}]},
        {
            "type": "object",
            "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}, "c": {"anyOf": [{"$ref": "#"}, NULL]}},
        },
    ],
)
def test_references_in_circles_end(schema: Json) -> None:
    refusals(schema, schema)
    refusals(schema, {"type": "object"})
    refusals({}, schema)


def test_unions_that_multiply_end() -> None:
    names = [f"N{number}" for number in range(12)]
    members = [{"$ref": f"#/$defs/{name}"} for name in names]
    one = {
        "$ref": "#/$defs/N0",
        "$defs": {name: {"type": "object", "properties": {"a": {"anyOf": members}}} for name in names},
    }
    other = {
        "$ref": "#/$defs/N0",
        "$defs": {
            name: {"type": "object", "properties": {"a": {"anyOf": members}, "z": {"const": name}}, "required": ["z"]}
            for name in names
        },
    }
    assert refusals(one, other)


TEXT_OR_NULL = {"type": ["string", "null"]}
_SCHEMAS = st.recursive(
    st.one_of(
        st.sampled_from([STR, INT, NUM, BOOL, NULL, {}, {"enum": ["a", 1, None]}, {"const": "a"}, TEXT_OR_NULL]),
        st.builds(lambda low, high: {**INT, "minimum": low, "maximum": high}, st.integers(-3, 3), st.integers(-3, 3)),
        st.builds(lambda length: {**STR, "maxLength": length}, st.integers(0, 3)),
    ),
    lambda below: st.one_of(
        st.builds(lambda members: {"anyOf": members}, st.lists(below, min_size=1, max_size=3)),
        st.builds(array, below),
        st.builds(
            lambda properties, required, closed: {
                "type": "object",
                "properties": properties,
                "required": sorted(required & properties.keys()),
                **({"additionalProperties": False} if closed else {}),
            },
            st.dictionaries(st.sampled_from("ab"), below, max_size=2),
            st.sets(st.sampled_from("ab")),
            st.booleans(),
        ),
    ),
    max_leaves=6,
)  # fmt: skip
_VALUES = st.recursive(
    st.sampled_from([None, True, 1, 0, -2, 2.5, "", "a", "abcd"]),
    lambda below: st.one_of(
        st.lists(below, max_size=2),
        st.dictionaries(st.sampled_from("ab"), below, max_size=2),
    ),
    max_leaves=4,
)


@settings(max_examples=400, deadline=None)
@given(old=_SCHEMAS, new=_SCHEMAS, values=st.lists(_VALUES, min_size=8, max_size=8))
def test_what_is_called_harmless_is_accepted_by_a_real_validator(old: Json, new: Json, values: list[Any]) -> None:
    if refusals(old, new):
        return
    before, after = Draft202012Validator(_closed(old)), Draft202012Validator(new)
    for value in values:
        if before.is_valid(value):
            assert after.is_valid(value), (old, new, value)


def _closed(schema: Any) -> Any:
    """Without properties that nobody declared: giving one of those a type is harmless by decision."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **closed} if schema.get("type") == "object" else closed


@settings(max_examples=200, deadline=None)
@given(schema=_SCHEMAS)
def test_a_schema_takes_all_that_it_takes(schema: Json) -> None:
    assert refusals(schema, schema) == ()


@pytest.mark.parametrize(
    ("old", "new", "breaking", "expected"),
    [
        ("1.0.0", "1.1.0", True, True),
        ("1.0.0", "2.0.0", True, False),
        ("1.0.0", "1.0.0", False, False),
        ("1.9.0", "2.0.0rc1", True, False),
        ("0.1.0", "0.1.1", True, True),
        ("0.1.0", "0.2.0", True, False),
        ("0.9.0", "1.0.0", True, False),
        ("2.0.0", "1.0.0", True, True),
    ],
)
def test_which_versions_announce_a_break(old: str, new: str, breaking: bool, expected: bool) -> None:
    changes = (ContractChange("tool", "t", breaking, "it changed"),)
    assert needs_major(old, new, changes) is expected


def test_the_worst_comes_first() -> None:
    before = contract(tools=[tool("a", description="x"), tool("z")])
    after = contract(tools=[tool("a", description="y"), tool("b")])
    assert [change.breaking for change in compare(before, after)] == [True, False, False]
    assert compare(before, before) == ()


@pytest.mark.parametrize(
    ("old", "new"), [("0.1.0", "0.2.0"), ("0.9.3", "0.10.0"), ("1.4.2", "2.0.0"), ("1.0rc1", "2.0.0")]
)
def test_the_version_that_announces_a_break(old: str, new: str) -> None:
    assert announcing(old) == new
    change = ContractChange("tool", "x", breaking=True, what="gone")
    assert not needs_major(old, new, (change,))

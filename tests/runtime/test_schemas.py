"""The schemas are those of the SDK's `MCPServer`, but where that is not sane; each such place stands here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from mcp.server.mcpserver.tools.base import Tool

from mcp_tool import plans, registry, tool
from tests.runtime import postponed, signatures

Schemas = tuple[dict[str, Any], dict[str, Any] | None]


class Connection:
    """What JSON cannot carry."""


def ours(function: Callable[..., Any]) -> dict[str, Any]:
    with registry.collecting() as recorded:
        tool(function)
        (plan,) = plans.build(recorded.declarations, recorded.problems).tools.values()
    return dict(plan.definition)


def theirs(function: Callable[..., Any]) -> Schemas:
    made = Tool.from_function(function)
    return made.parameters, made.output_schema


@pytest.mark.parametrize("function", signatures.SAME, ids=lambda function: function.__name__)
def test_the_same_schemas_as_the_sdk(function: Callable[..., Any]) -> None:
    definition = ours(function)
    # As text: the order of properties is what a model reads.
    assert json.dumps([definition["inputSchema"], definition.get("outputSchema")]) == json.dumps(theirs(function))


@pytest.mark.parametrize("function", postponed.FUNCTIONS, ids=lambda function: function.__name__)
def test_postponed_annotations_change_nothing(function: Callable[..., Any]) -> None:
    definition = ours(function)
    assert json.dumps([definition["inputSchema"], definition.get("outputSchema")]) == json.dumps(theirs(function))


class TestDeliberateDifferences:
    """What this runtime publishes and the SDK does not, or otherwise."""

    @pytest.mark.parametrize(
        ("function", "result"),
        [
            (signatures.returns_datetime, {"format": "date-time", "title": "Result", "type": "string"}),
            (signatures.returns_path, {"format": "path", "title": "Result", "type": "string"}),
            (signatures.returns_decimal, {"anyOf": [{"type": "number"}, {"type": "string"}], "title": "Result"}),
            (signatures.returns_enum, {"$ref": "#/$defs/Colour"}),
        ],
        ids=lambda value: getattr(value, "__name__", ""),
    )
    def test_single_values_of_the_standard_library_are_structured(
        self, function: Callable[..., Any], result: dict[str, Any]
    ) -> None:
        assert ours(function)["outputSchema"]["properties"] == {"result": result}
        assert theirs(function)[1] is None

    def test_a_slotted_dataclass_is_structured(self) -> None:
        assert ours(signatures.slotted)["outputSchema"]["required"] == ["count", "unit"]
        assert theirs(signatures.slotted)[1] is None

    def test_a_root_that_is_no_object_is_wrapped(self) -> None:
        # Protocol versions up to 2025-11-25 take an object only.
        schema = ours(signatures.returns_root_model)["outputSchema"]
        assert (schema["type"], schema["properties"]) == ("object", {"result": {"$ref": "#/$defs/Numbers"}})
        sdk = theirs(signatures.returns_root_model)[1]
        assert sdk is not None
        assert sdk["type"] == "array"

    def test_a_parameter_without_a_type_is_a_problem(self, problems: Callable[[], Any]) -> None:
        tool(signatures.unhinted)
        assert [problem.what for problem in problems()] == [
            "parameter 'a' of unhinted() has no type hint",
            "parameter 'b' of unhinted() has no type hint",
        ]
        assert theirs(signatures.unhinted)[0]["properties"]["a"]["type"] == "string"

    def test_typing_typed_dicts_as_arguments(self) -> None:
        schema = ours(signatures.typed_dict_argument)["inputSchema"]
        assert schema["$defs"]["Movie"]["required"] == ["title"]
        assert schema["properties"]["more"]["items"] == {"$ref": "#/$defs/Movie"}

    def test_arguments_are_described_by_the_docstring(self) -> None:
        definition = ours(signatures.with_arguments_described)
        assert definition["description"] == "Shorten a text."
        properties = definition["inputSchema"]["properties"]
        assert [entry["description"] for entry in properties.values()] == ["What to shorten.", "How far."]
        for entry in properties.values():
            del entry["description"]
        assert definition["inputSchema"] == theirs(signatures.with_arguments_described)[0]


def test_an_explicit_schema_is_published_as_it_stands() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {"$anchor": "here", "type": "object", "properties": {"street": {"type": "string"}}}},
        "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
        "allOf": [{"anyOf": [{"required": ["name"]}, {"required": ["address"]}]}],
        "additionalProperties": False,
    }

    @tool(input_schema=schema)
    def shown(name: str | None = None, address: dict[str, Any] | None = None) -> str:
        """Take a name or an address."""
        return f"{name} {address}"

    with registry.collecting() as recorded:
        tool(input_schema=schema)(shown)
        (plan,) = plans.build(recorded.declarations).tools.values()
    assert plan.definition["inputSchema"] == schema


def test_an_explicit_schema_must_hold_the_parameters(problems: Callable[[], Any]) -> None:
    @tool(input_schema={"properties": {}})
    def shown(name: str) -> str:
        """Take a name."""
        return name

    assert [problem.what for problem in problems()] == [
        "parameter 'name' of 'shown' is not among the properties of its input_schema",
        "the input_schema of 'shown' is not of type object",
    ]


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({"x-mcp-header": "not a token"}, "is no header name"),
        ({"x-mcp-header": 3}, "is no header name"),
        ({"x-mcp-header": "A", "type": "number"}, "needs text, an integer or a boolean"),
    ],
)
def test_headers_that_cannot_be(problems: Callable[[], Any], extra: dict[str, Any], reason: str) -> None:
    @tool(input_schema={"type": "object", "properties": {"a": {"type": "string", **extra}}})
    def shown(a: str) -> str:
        """Take a value."""
        return a

    (problem,) = problems()
    assert reason in problem.what


def test_text_only_where_the_author_wants_no_structure() -> None:
    def plain() -> int:
        """Say one."""
        return 1

    with registry.collecting() as recorded:
        tool(structured=False)(plain)
        (plan,) = plans.build(recorded.declarations).tools.values()
    assert "outputSchema" not in plan.definition


def test_what_has_no_schema_is_named(problems: Callable[[], Any]) -> None:
    @tool
    def one(good: int, connection: Connection, callback: Callable[[], int]) -> str:
        """Take what JSON cannot carry."""
        return ""

    @tool(structured=True)
    def two() -> Callable[[], Connection]:
        """Return what JSON cannot carry."""
        return Connection

    @tool
    def three() -> bytes:
        """Return bytes."""
        return b""

    whats = [problem.what for problem in problems()]
    assert len(whats) == 4
    assert whats[0].startswith("parameter 'connection' of one() has a type without a JSON Schema")
    assert whats[1].startswith("parameter 'callback' of one() has a type without a JSON Schema")
    assert whats[2].startswith("two() shall give structured output")
    assert whats[3].startswith("three() returns bytes")

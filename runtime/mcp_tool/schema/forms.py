"""The schema of a form for the user: flat, of text, numbers, booleans and choices (MCP elicitation, form mode)."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

_FORMATS = (None, "date", "date-time", "email", "uri")


class FormError(Exception):
    """A model that is no form. Its text names the field."""


class _Flat(GenerateJsonSchema):
    """`T | None` becomes `T` outside `required`; a default of None is left out: forms know no null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        result = super().default_schema(schema)
        if result.get("default") is None:
            result.pop("default", None)
        return result


def render(model: type[BaseModel]) -> dict[str, Any]:
    """The `requestedSchema` of a model.

    Raises:
        FormError: A field is not text, a number, a boolean or a choice.
    """
    schema = model.model_json_schema(schema_generator=_Flat)
    definitions: Mapping[str, Any] = schema.pop("$defs", {})
    properties = {name: _simple(entry, definitions) for name, entry in schema.get("properties", {}).items()}
    for name, entry in properties.items():
        if not _is_field(entry):
            msg = f"field {name!r} of {model.__name__} is not text, a number, a boolean or a choice"
            raise FormError(msg)
    return {**schema, "properties": properties, "type": "object"}


def _simple(entry: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """An entry without references, and with a choice of one as a choice."""
    reference = entry.get("$ref")
    if isinstance(reference, str):
        rest = {key: value for key, value in entry.items() if key != "$ref"}
        return _simple({**definitions.get(reference.rpartition("/")[2], {}), **rest}, definitions)
    if isinstance(entry.get("items"), dict):
        return {**entry, "items": _simple(entry["items"], definitions)}
    if isinstance(entry.get("const"), str):
        return {**{key: value for key, value in entry.items() if key != "const"}, "enum": [entry["const"]]}
    return entry


def _is_field(entry: Mapping[str, Any]) -> bool:
    match entry.get("type"):
        case "string":
            return entry.get("format") in _FORMATS
        case "integer" | "number" | "boolean":
            return True
        case "array":
            items = entry.get("items", {})
            return isinstance(items, dict) and (_choices(items.get("enum")) or _titled(items.get("anyOf")))
        case _:
            return _choices(entry.get("enum")) or _titled(entry.get("oneOf"))


def _choices(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _titled(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, dict) and "const" in value for value in values)

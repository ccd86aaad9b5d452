"""Results: the structured output that a return annotation promises, and values made to fit it."""

import enum
import inspect
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind
from typing_extensions import is_typeddict

from mcp_tool.asking import InputRequired
from mcp_tool.content import CONTENT_TYPES, ToolResult
from mcp_tool.schema.signature import NOTHING, Flaw, is_union
from mcp_tool.schema.typed_dicts import readable

_PRIMITIVES = (str, int, float, bool, bytes, type(None))
_SHAPELESS = (dict, list, tuple, set, frozenset, object, Any)
_SEQUENCES = (list, tuple, Sequence)
_NO_SCHEMA = (PydanticUserError, NameError, TypeError, ValueError, pydantic_core.SchemaError, RecursionError)
_DEFS = "#/$defs/"


@dataclass(frozen=True, slots=True)
class Outputs:
    """The promised form of a result. `wrapped` results stand under the key "result"."""

    schema: dict[str, Any]
    adapter: TypeAdapter[Any]
    wrapped: bool = False

    def structured(self, result: Any) -> Any:
        """A result as JSON values.

        Raises:
            pydantic.ValidationError: It is not what the function's annotation promises.
        """
        value = {"result": result} if self.wrapped else result
        valid = self.adapter.validate_python(value, by_alias=True, by_name=True)
        if isinstance(valid, BaseModel):
            # By the instance: a subclass keeps its own fields.
            return valid.model_dump(mode="json", by_alias=True)
        return self.adapter.dump_python(valid, mode="json", by_alias=True)


class _Strict(GenerateJsonSchema):
    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        msg = f"{kind}: {detail}"
        raise ValueError(msg)


def build(function: str, returns: Any, *, structured: bool | None = None) -> Outputs | Flaw | None:
    """The output of a function.

    Args:
        function: Its name; the schema's title comes from it.
        returns: Its evaluated return annotation, or `NOTHING`.
        structured: False for text only; True where a form is required; None by the annotation.

    Returns:
        The form; None where the result is content or text only; a Flaw where the annotation cannot be kept.
    """
    if structured is False:
        return None
    promised = _promised(returns)
    found = None if promised is NOTHING else _form(function, promised, structured=structured)
    if found is None and structured is True:
        return Flaw(
            f"{function}() shall give structured output, but its return type has no JSON Schema",
            "annotate it with a model, a dataclass, a TypedDict or a type of JSON",
        )
    return found


def _form(function: str, promised: Any, *, structured: bool | None) -> Outputs | Flaw | None:
    kind, marks = _apart(promised)
    if kind is ToolResult:
        return (
            _form(function, Annotated[marks] if len(marks) > 1 else marks[0], structured=structured) if marks else None
        )
    if is_union(kind) and ToolResult in get_args(kind):
        return Flaw(f"{function}() returns ToolResult or something else", "return ToolResult alone")
    if kind is bytes:
        return Flaw(
            f"{function}() returns bytes, which no client can show",
            'return Image(data=…), Audio(data=…) or File(data=…, mime_type="…")',
        )
    if structured is None and _is_content(kind):
        return None
    return _outputs(function, promised, kind)


def _outputs(function: str, promised: Any, kind: Any) -> Outputs | None:
    try:
        model, wrapped = _model(function, promised, kind)
        if model is None:
            return None
        made = _make(model, wrapped=wrapped)
        if made.schema.get("type") != "object":
            # Protocol versions up to 2025-11-25 take only objects.
            made = _make(_wrap(function, promised), wrapped=True)
    except _NO_SCHEMA:
        return None
    return made


def _make(model: Any, *, wrapped: bool) -> Outputs:
    adapter: TypeAdapter[Any] = TypeAdapter(readable(model))
    return Outputs(_inlined(adapter.json_schema(schema_generator=_Strict)), adapter, wrapped)


def _promised(returns: Any) -> Any:
    """The annotation without what is not data: questions for the client."""
    kind, _ = _apart(returns)
    if kind is InputRequired:
        return NOTHING
    if not is_union(kind):
        return returns
    data = tuple(arm for arm in get_args(kind) if arm is not InputRequired)
    if len(data) == len(get_args(kind)):
        return returns
    return data[0] if len(data) == 1 else Union[data]  # noqa: UP007 - a union of a tuple has no other spelling


def _apart(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    if get_origin(annotation) is Annotated:
        kind, *marks = get_args(annotation)
        return kind, tuple(marks)
    return annotation, ()


def _is_content(kind: Any) -> bool:
    """Whether results of this type are blocks to look at rather than data."""
    origin = get_origin(kind)
    if origin is None:
        return isinstance(kind, type) and issubclass(kind, CONTENT_TYPES)
    if origin is Annotated:
        return _is_content(get_args(kind)[0])
    if is_union(kind) or origin in _SEQUENCES:
        return any(_is_content(argument) for argument in get_args(kind))
    return False


def _model(function: str, promised: Any, kind: Any) -> tuple[Any, bool]:
    """What to validate against, and whether the result is wrapped in {"result": …}."""
    if isinstance(kind, types.GenericAlias):
        arguments = get_args(kind)
        if get_origin(kind) is dict and len(arguments) == 2 and arguments[0] is str:
            return Annotated[kind, Field(title=f"{function}DictOutput")], False
        return _wrap(function, promised), True
    if not isinstance(kind, type) or kind in _PRIMITIVES or issubclass(kind, enum.Enum):
        return _wrap(function, promised), True
    if issubclass(kind, BaseModel) or is_typeddict(kind):
        return kind, False
    hints = {name: hint for name, hint in get_type_hints(kind, include_extras=True).items() if name[:1] != "_"}
    if hints:
        return _from_class(kind, hints), False
    return (None, False) if kind in _SHAPELESS else (_wrap(function, promised), True)


def _wrap(function: str, promised: Any) -> Any:
    fields: dict[str, Any] = {"result": readable(promised)}
    return create_model(f"{function}Output", **fields)


def _from_class(kind: type, hints: dict[str, Any]) -> Any:
    """A model with the attributes of a dataclass or an annotated class; read from instances."""
    fields: dict[str, Any] = {}
    for name, hint in hints.items():
        default = inspect.getattr_static(kind, name, NOTHING)
        slot = inspect.ismemberdescriptor(default) or default is NOTHING
        fields[name] = readable(hint) if slot else (readable(hint), default)
    return create_model(kind.__name__, __config__=ConfigDict(from_attributes=True), **fields)


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A recursive model's schema has only a reference at its root, where clients look for an object."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith(_DEFS):
        return schema
    definition: dict[str, Any] = schema["$defs"][reference.removeprefix(_DEFS)]
    return {**definition, **{key: value for key, value in schema.items() if key != "$ref"}}

"""Arguments: the pydantic model of a function's parameters, and values from what a client sent."""

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo

from mcp_tool.schema.signature import NOTHING, Flaw, Parameter, arms
from mcp_tool.schema.typed_dicts import readable

_WRONG_TYPE = (PydanticUserError, NameError, TypeError, ValueError, RecursionError)


class _Arguments(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True, protected_namespaces=())


class ArgumentsError(Exception):
    """Arguments that do not fit the schema. Its text names the fields and says what is wrong, never what was sent."""

    def __init__(self, reasons: Sequence[str]) -> None:
        count = f"{len(reasons)} argument{'s do' if len(reasons) > 1 else ' does'} not fit"
        super().__init__("\n".join((count, *(f"- {reason}" for reason in reasons))))


@dataclass(frozen=True, slots=True)
class Inputs:
    """How a function's arguments look to a client, and how they are read."""

    schema: Mapping[str, Any]
    model: type[BaseModel]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, as the client names them."""
        return tuple(info.alias or name for name, info in self.model.model_fields.items())

    def values(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Validated values by parameter; nested models stay models.

        Raises:
            ArgumentsError: The arguments do not fit.
        """
        try:
            valid = self.model.model_validate(self._parsed(arguments))
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False, include_context=False)
            raise ArgumentsError([f"{_path(detail['loc'])}: {detail['msg']}" for detail in details]) from None
        return {info.alias or name: valid.__dict__[name] for name, info in self.model.model_fields.items()}

    def _parsed(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Some clients send lists and objects as JSON in a string; a parameter that takes text keeps the text."""
        parsed = dict(arguments)
        for name, info in self.model.model_fields.items():
            key = info.alias or name
            value = parsed.get(key)
            if isinstance(value, str) and not _takes_text(info.annotation):
                try:
                    decoded = json.loads(value)
                except (ValueError, RecursionError):
                    continue
                if not isinstance(decoded, str | int | float):
                    parsed[key] = decoded
        return parsed


def build(function: str, parameters: Sequence[Parameter], docs: Mapping[str, str]) -> Inputs | tuple[Flaw, ...]:
    """The arguments of a function.

    Args:
        function: Its name; the schema's title comes from it.
        parameters: Those that the client gives.
        docs: Descriptions by parameter, used where the annotation has none.

    Returns:
        The arguments, or what is wrong with each parameter that has no schema.
    """
    flaws = [
        Flaw(f"parameter {parameter.name!r} of {function}() has no type hint", f"write {parameter.name}: str, say")
        for parameter in parameters
        if parameter.annotation is NOTHING
    ]
    if flaws:
        return tuple(flaws)
    try:
        return _inputs(function, parameters, docs)
    except _WRONG_TYPE as error:
        return tuple(_culprits(function, parameters)) or (
            Flaw(f"the parameters of {function}() have no JSON Schema: {_first_line(error)}", "use types of JSON"),
        )


def _inputs(function: str, parameters: Sequence[Parameter], docs: Mapping[str, str]) -> Inputs:
    fields: dict[str, Any] = dict(_field(parameter, docs.get(parameter.name)) for parameter in parameters)
    model = create_model(f"{function}Arguments", __base__=_Arguments, **fields)
    return Inputs(model.model_json_schema(by_alias=True), model)


def _field(parameter: Parameter, doc: str | None) -> tuple[str, Any]:
    """The field of a parameter: its name, annotation and default, as `create_model` takes them."""
    extra: dict[str, Any] = {}
    name = parameter.name
    if hasattr(BaseModel, name) or name.startswith("model_"):
        # A field must not hide a part of pydantic's own class.
        name, extra = f"field_{name}", {"alias": name}
    if doc and not _described(parameter):
        extra["description"] = doc
    annotation: Any = Annotated[readable(parameter.annotation), Field(**extra)]
    return name, annotation if parameter.default is NOTHING else (annotation, parameter.default)


def _described(parameter: Parameter) -> bool:
    return any(
        isinstance(mark, FieldInfo) and mark.description is not None for mark in (*parameter.marks, parameter.default)
    )


def _culprits(function: str, parameters: Sequence[Parameter]) -> list[Flaw]:
    flaws = []
    for parameter in parameters:
        try:
            _inputs(function, [parameter], {})
        except _WRONG_TYPE as error:
            flaws.append(
                Flaw(
                    f"parameter {parameter.name!r} of {function}() has a type without a JSON Schema: "
                    f"{_first_line(error)}",
                    "use a type that JSON can carry, or fill it with Resolve or @provide",
                )
            )
    return flaws


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _takes_text(annotation: Any) -> bool:
    if inspect.isclass(annotation):
        return annotation is str
    return any(arm is str for arm in arms(annotation))


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) or "arguments"

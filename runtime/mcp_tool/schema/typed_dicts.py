"""`typing.TypedDict` for pydantic, which below Python 3.12 reads only the one of `typing_extensions`."""

import sys
import types
from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Annotated, Any, NotRequired, Required, get_args, get_origin, get_type_hints

from typing_extensions import TypedDict, is_typeddict

from mcp_tool.schema.signature import is_union


def readable(annotation: Any) -> Any:
    """The annotation with every `typing.TypedDict` in it rebuilt where this Python needs that."""
    return annotation if sys.version_info >= (3, 12) else _rebuild(annotation, {})


def _rebuild(annotation: Any, made: dict[Any, Any]) -> Any:
    if is_typeddict(annotation) and type(annotation).__module__ == "typing":
        return _typed_dict(annotation, made)
    arguments = get_args(annotation)
    if not arguments:
        return annotation
    origin = get_origin(annotation)
    if origin is Annotated:
        return Annotated[(_rebuild(arguments[0], made), *arguments[1:])]
    rebuilt = tuple(_rebuild(argument, made) for argument in arguments)
    if all(new is old for new, old in zip(rebuilt, arguments, strict=True)):
        return annotation
    if is_union(annotation):
        return reduce(or_, _unionable(rebuilt))
    if isinstance(annotation, types.GenericAlias):
        return types.GenericAlias(annotation.__origin__, rebuilt)  # type: ignore[arg-type]  # a class here: aliases have no __origin__ of their own
    return annotation.copy_with(rebuilt) if hasattr(annotation, "copy_with") else annotation


def _unionable(members: Iterable[Any]) -> list[Any]:
    return [types.NoneType if member is None else member for member in members]


def _typed_dict(source: Any, made: dict[Any, Any]) -> Any:
    if source in made:
        return made[source]
    made[source] = source  # one that holds itself is left to pydantic's own message
    fields: dict[str, Any] = {}
    for name, hint in get_type_hints(source, include_extras=True).items():
        qualifier = get_origin(hint)
        inner = get_args(hint)[0] if qualifier in (Required, NotRequired) else hint
        given = qualifier is not NotRequired and (name in source.__required_keys__ or qualifier is Required)
        fields[name] = Required[_rebuild(inner, made)] if given else NotRequired[_rebuild(inner, made)]
    rebuilt: Any = TypedDict(source.__name__, fields)  # type: ignore[misc]  # the functional form, made from data
    rebuilt.__doc__, rebuilt.__module__, rebuilt.__qualname__ = source.__doc__, source.__module__, source.__qualname__
    if hasattr(source, "__pydantic_config__"):
        made_config: Any = rebuilt
        made_config.__pydantic_config__ = source.__pydantic_config__
    made[source] = rebuilt
    return rebuilt

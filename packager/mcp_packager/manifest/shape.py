"""The models as a tree: which keys there are, and what a path leads to. Read from pydantic's own field records."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mcp_packager.manifest.section import IN_BUNDLE

Path = tuple[str | int, ...]

ABSENT: Final = object()
"""Nothing stands there."""


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys of a table as the file spells them."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def _leads_to(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model that a value of this type may be, arrays and unions seen through."""
    origin = get_origin(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif origin is Annotated or origin in {tuple, list, Sequence}:
        yield from _leads_to(get_args(annotation)[0])
    elif origin in {Union, types.UnionType}:
        for member in get_args(annotation):
            yield from _leads_to(member)


def models_of(info: FieldInfo) -> tuple[type[BaseModel], ...]:
    """The tables that stand directly under this key, several where its ``mode`` decides."""
    return tuple(_leads_to(info.annotation))


def by_name(info: FieldInfo) -> tuple[type[BaseModel], ...] | None:
    """For a table whose keys are the author's own: what stands under each (nothing, for plain values)."""
    annotation: Any = info.annotation
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) not in {dict, Mapping}:
        return None
    return tuple(_leads_to(get_args(annotation)[1]))


def _chosen(models: tuple[type[BaseModel], ...], value: Any) -> type[BaseModel] | None:
    """The one of several tables that ``value`` is meant to be."""
    for model in models:
        info = model.model_fields.get("mode")
        if info is None or len(models) == 1:
            return model
        tags = get_args(info.annotation) if get_origin(info.annotation) is Literal else ()
        if isinstance(value, dict) and value.get("mode") in tags:
            return model
    return None


def model_at(model: type[BaseModel], path: Path, data: Any = None) -> type[BaseModel] | None:
    """The table that a path leads to; ``data`` decides between several."""
    here: type[BaseModel] | None = model
    named: tuple[type[BaseModel], ...] | None = None
    for part in path:
        data = step(data, part)
        if named is not None:
            here, named = _chosen(named, data), None
            continue
        if isinstance(part, int):
            here = here if here is None else _chosen((here,), data)
            continue
        info = fields(here).get(part) if here else None
        if info is None:
            return None
        named = by_name(info)
        here = None if named is not None else _chosen(models_of(info), data)
    return here


def field_at(model: type[BaseModel], path: Path) -> FieldInfo | None:
    """The record of the key that a path ends with."""
    if not path or not isinstance(path[-1], str):
        return None
    there = model_at(model, path[:-1])
    return fields(there).get(path[-1]) if there else None


def step(data: Any, part: str | int) -> Any:
    """What stands under a key or index of TOML data, or :data:`ABSENT`."""
    match data:
        case dict():
            return data.get(part, ABSENT)
        case list() if isinstance(part, int) and 0 <= part < len(data):
            return data[part]
        case _:
            return ABSENT


def is_in_bundle(info: FieldInfo) -> bool:
    """Whether a key changes bundle or image."""
    extra = info.json_schema_extra
    return isinstance(extra, dict) and any(extra.get(mark) == value for mark, value in IN_BUNDLE.items())


def keys(model: type[BaseModel], head: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key below a model, dotted, without the author's own names: ``serve.timeout``, ``secrets.from``."""
    for name, info in fields(model).items():
        dotted = f"{head}{name}"
        yield dotted, info
        for below in (*models_of(info), *(by_name(info) or ())):
            yield from keys(below, f"{dotted}.")


def written(model: type[BaseModel], data: Any, head: str = "") -> Iterator[str]:
    """Those of :func:`keys` that ``data`` holds."""
    if not isinstance(data, Mapping):
        return
    for name, value in data.items():
        info = fields(model).get(name)
        if info is None:
            continue
        dotted = f"{head}{name}"
        yield dotted
        named = by_name(info)
        if named is None:
            yield from _written(models_of(info), value if isinstance(value, list) else [value], dotted)
        elif isinstance(value, Mapping):
            yield from _written(named, value.values(), dotted)


def _written(models: tuple[type[BaseModel], ...], values: Any, dotted: str) -> Iterator[str]:
    for value in values:
        below = _chosen(models, value)
        if below is not None:
            yield from written(below, value, f"{dotted}.")

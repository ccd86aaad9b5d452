"""The JSON Schema of ``mcp-tool.toml``, for editors and other tools: draft-07, which editors' TOML support reads.

It is made from the models. It cannot say what holds between sections; whatever it refuses the loader refuses too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from mcp_packager.manifest import shape
from mcp_packager.manifest.document import Document
from mcp_packager.manifest.section import IN_BUNDLE
from mcp_packager.manifest.words import NAME

_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_REF: Final = "#/definitions/"
_ABOUT: Final = "One MCP tool: its code, what it needs and where it runs"
_STAGE: Final = "Stage"
"""What stands before the name of a definition's stage variant."""


def json_schema(options: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """The schema of the whole file; ``options`` holds each target's options model."""
    definitions: dict[str, Any] = {}
    document = _adopt(Document, "", definitions)
    targets = {name: {"$ref": _REF + _target(name, model, definitions)} for name, model in sorted(options.items())}
    definitions["Targets"] = {"type": "object", "properties": targets, "additionalProperties": False}
    document["properties"]["target"] = {
        "$ref": f"{_REF}Targets",
        "description": document["properties"]["target"]["description"],
    }
    partial = {f"{_STAGE}{name}": _partial(body) for name, body in definitions.items()}
    stage = _partial(document)
    definitions.update(partial)
    definitions["Stage"] = {**stage, "title": "Stage", "description": "What differs in one stage"}
    document["properties"]["stage"] = {
        "description": "Stages: each is laid over the rest of the file",
        "type": "object",
        "propertyNames": {"pattern": NAME, "maxLength": 20, "not": {"const": "default"}},
        "additionalProperties": {"$ref": f"{_REF}Stage"},
    }
    whole = {
        "$schema": _DRAFT,
        **document,
        "title": "mcp-tool.toml",
        "description": _ABOUT,
        "definitions": _used(document, definitions),
    }
    cleaned: dict[str, Any] = _clean(whole)
    return cleaned


def portable_keys() -> tuple[str, ...]:
    """Every key that a target honours, maps or refuses, dotted, in the order of the file.

    ``[tool]`` is not among them: it makes the bundle, which is the same for every target; nor are a target's own.
    """
    keys: list[str] = []
    for section, info in shape.fields(Document).items():
        if section in {"tool", "target"}:
            continue
        below = shape.by_name(info) or shape.models_of(info)
        for model in below:
            keys.extend(f"{section}.{key}" for key in shape.fields(model))
        if not below:
            keys.append(section)
    return tuple(keys)


def _adopt(model: type[BaseModel], prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A model's schema; what it refers to goes into ``definitions``, under names that start with ``prefix``."""
    schema = model.model_json_schema(ref_template=f"{_REF}{prefix}{{model}}")
    definitions.update({f"{prefix}{name}": body for name, body in schema.pop("$defs", {}).items()})
    return schema


def _target(name: str, model: type[BaseModel], definitions: dict[str, Any]) -> str:
    prefix = "".join(part.capitalize() for part in name.split("-")) + "Target"
    definitions[prefix] = _adopt(model, prefix, definitions)
    return prefix


def _partial(schema: Any, *, inside_array: bool = False) -> Any:
    """A stage's form of a schema: nothing is required, and what makes the bundle is not there.

    Arrays are replaced whole, so what they hold stays as it is.
    """
    if isinstance(schema, list):
        return [_partial(item, inside_array=inside_array) for item in schema]
    if not isinstance(schema, dict) or inside_array:
        return schema
    result: dict[str, Any] = {}
    for key, value in schema.items():
        match key:
            case "required" | "default" if isinstance(value, list) or key == "default":
                continue
            case "anyOf" | "oneOf" if all(set(member) == {"required"} for member in value):
                continue
            case "$ref":
                result[key] = value.replace(_REF, f"{_REF}{_STAGE}")
            case "properties":
                result[key] = {name: _partial(body) for name, body in value.items() if not _makes_bundle(body)}
            case "oneOf":
                result["anyOf"] = _partial(value)
            case "items":
                result[key] = value
            case _:
                result[key] = _partial(value)
    return result


def _makes_bundle(body: Any) -> bool:
    return isinstance(body, dict) and all(body.get(mark) == value for mark, value in IN_BUNDLE.items())


def _used(document: Any, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Those definitions that the document leads to, sorted."""
    wanted: set[str] = set()
    waiting = [document]
    while waiting:
        here = waiting.pop()
        if isinstance(here, list):
            waiting.extend(here)
        elif isinstance(here, dict):
            name = here.get("$ref")
            if isinstance(name, str) and name.removeprefix(_REF) not in wanted:
                wanted.add(name.removeprefix(_REF))
                waiting.append(definitions[name.removeprefix(_REF)])
            waiting.extend(here.values())
    return {name: definitions[name] for name in sorted(wanted)}


def _clean(schema: Any) -> Any:
    """Take out what is not JSON Schema, and close tables whose keys have a grammar."""
    if isinstance(schema, list):
        return [_clean(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Any] = {}
    for key, value in schema.items():
        match key, value:
            case "discriminator", _:
                continue
            case ("default", None | dict()) | ("title", str()) if key != "title" or "$schema" not in schema:
                continue
            case "anyOf", [*members] if {"type": "null"} in members and len(members) == 2:
                # TOML has no null: such a key is left out.
                result.update(_clean(next(member for member in members if member != {"type": "null"})))
            case "description", str():
                result[key] = value.replace("``", "`")
            case (("properties" | "patternProperties" | "definitions"), dict()):
                result[key] = {name: _clean(body) for name, body in value.items()}
            case _:
                if key not in IN_BUNDLE:
                    result[key] = _clean(value)
    if "patternProperties" in result:
        result.setdefault("additionalProperties", False)
    return result

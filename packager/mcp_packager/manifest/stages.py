"""Stages: one table of the file laid over the rest of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from mcp_packager.manifest import shape
from mcp_packager.manifest.document import Document
from mcp_packager.manifest.findings import Finding, Path, unknown

DEFAULT: Final = "default"
"""The file without an overlay."""


def overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` laid over ``base``: tables are merged key by key, everything else is replaced.

    A table that changes its ``mode`` is replaced whole: the keys of one way to authenticate mean nothing in another.
    """
    merged = dict(base)
    for key, value in over.items():
        there = merged.get(key)
        if (
            isinstance(there, dict)
            and isinstance(value, dict)
            and there.get("mode") == value.get("mode", there.get("mode"))
        ):
            merged[key] = overlay(there, value)
        else:
            merged[key] = value
    return merged


def refused(
    stage: str, over: Mapping[str, Any], base: Mapping[str, Any], options: Mapping[str, type[BaseModel]]
) -> list[Finding]:
    """What a stage may not hold: keys that change bundle or image, other stages, undeclared secrets."""
    head: Path = ("stage", stage)
    found = list(_in_bundle(Document, over, head))
    targets = over.get("target")
    for name, table in (targets if isinstance(targets, dict) else {}).items():
        if name in options:
            found.extend(_in_bundle(options[name], table, (*head, "target", name)))
    if "stage" in over:
        found.append(unknown((*head, "stage"), [key for key in shape.fields(Document) if key != "tool"]))
    declared = base.get("secrets")
    secrets = over.get("secrets")
    found.extend(
        Finding(
            (*head, "secrets", name),
            f"secret {name} is declared only in a stage",
            f"Declare [secrets.{name}] for every stage, with required = false where some have none",
            expected="a secret of [secrets]: the artifact names them, and is the same for every stage",
            on_key=True,
        )
        for name in (secrets if isinstance(secrets, dict) else ())
        if not isinstance(declared, dict) or name not in declared
    )
    return found


def _in_bundle(model: type[BaseModel], over: Any, head: Path) -> Iterator[Finding]:
    """Keys below ``over`` that change bundle or image."""
    if not isinstance(over, Mapping):
        return
    for key, value in over.items():
        info = shape.fields(model).get(key)
        if info is None:
            continue
        path: Path = (*head, key)
        if shape.is_in_bundle(info):
            yield Finding(
                path,
                f"{key} cannot differ by stage",
                f"Set {key} outside [stage]",
                expected="one artifact for every stage; a stage changes only how it is run",
                on_key=True,
            )
            continue
        named = shape.by_name(info)
        if named is not None and isinstance(value, Mapping):
            for name, table in value.items():
                for below in named:
                    yield from _in_bundle(below, table, (*path, name))
        else:
            for below in shape.models_of(info):
                yield from _in_bundle(below, value, path)

"""What every section of the manifest is made of: a frozen, strict, closed pydantic model."""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.plugin import _loader

# No plugin of pydantic's has a say in a manifest, and looking for one reads the metadata of every installed package.
# The variable that says so (PYDANTIC_DISABLE_PLUGINS) would be inherited by servers that are started from here.
_loader._plugins = {}  # noqa: SLF001 - there is no other way; where it has another name, plugins are looked for

T = TypeVar("T")

Many = Annotated[tuple[T, ...], Field(strict=False)]
"""A TOML array as a tuple; its items stay strict."""

IN_BUNDLE: Final[dict[str, JsonValue]] = {"x-mcp-pack-in-bundle": True}
"""``json_schema_extra`` of a key that changes bundle or image: a stage may not hold it. Targets use it too."""


class Section(BaseModel):
    """A table of the manifest. Unknown keys are problems; a string never passes for a number."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        defer_build=True,
        hide_input_in_errors=True,
        regex_engine="rust-regex",
    )

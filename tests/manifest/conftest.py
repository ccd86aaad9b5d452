"""A project folder whose manifest a test writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from mcp_packager.errors import Problem, UserError
from mcp_packager.manifest import IN_BUNDLE, Manifest, Section, load


class LocalOptions(Section):
    """What a target may ask; ``base`` is part of what it builds."""

    port: int = Field(8000, ge=1, le=65535)
    base: str = Field("slim", json_schema_extra=IN_BUNDLE)


OPTIONS: Mapping[str, type[BaseModel]] = {"local": LocalOptions}


@dataclass(frozen=True)
class Project:
    folder: Path

    def write(self, text: str) -> None:
        (self.folder / "mcp-tool.toml").write_text(text, "utf-8")

    def load(self, text: str, stage: str = "default", **arguments: Any) -> Manifest:
        self.write(text)
        return load(self.folder, stage, **{"options": OPTIONS, **arguments})

    def problems(self, text: str, stage: str = "default", **arguments: Any) -> tuple[Problem, ...]:
        self.write(text)
        with pytest.raises(UserError) as caught:
            load(self.folder, stage, **{"options": OPTIONS, **arguments})
        return caught.value.problems


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)

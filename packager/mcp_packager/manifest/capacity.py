"""``[resources]`` and ``[scale]``: how much of a machine, and how many of them."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mcp_packager.manifest.section import Section
from mcp_packager.manifest.units import Cpu, Size


class Resources(Section):
    """What one running copy gets. Where a key is unset the target has a default of its own."""

    cpu: Cpu | None = Field(None, description='CPU of one copy, such as "250m" or 1.5 cores')
    memory: Size | None = Field(None, description='Memory of one copy, such as "512Mi"')
    disk: Size | None = Field(None, description='Scratch space of one copy under /tmp, such as "1Gi"')


Copies = Annotated[int, Field(ge=0, le=1000)]


class Scale(Section):
    """How many copies run."""

    min: Copies | None = Field(None, description="Fewest copies; the target's own default where unset")
    max: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Most copies; as many as min where unset"
    )
    cpu: Annotated[int, Field(ge=1, le=100)] = Field(
        70, description="Average CPU use, in percent of the request, to aim at"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.max < self.min:
            raise PydanticCustomError(
                "scale_order",
                "has max below min",
                {"expected": "max of at least min", "fix": "Raise max or lower min"},
            )
        return self

"""``[services.NAME]``: what the tool depends on, run beside it or found elsewhere."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from mcp_packager.manifest.capacity import Resources
from mcp_packager.manifest.section import Many, Section
from mcp_packager.manifest.units import Delay, Duration, Size
from mcp_packager.manifest.words import (
    AbsolutePath,
    Address,
    EnvName,
    EnvValue,
    ImageName,
    Port,
    ServiceEnvName,
    Text,
    Word,
)


class Volume(Section):
    """``volume``: data of the service that outlives it."""

    path: AbsolutePath = Field(description="Where the service sees it")
    size: Size = Field(1 << 30, description="How large, where the platform wants to know")


class Health(Section):
    """``health``: how to see that the service is up. Without a command, its first port accepts connections."""

    command: Annotated[Many[Word], Field(min_length=1)] | None = Field(
        None, description="Command that ends with 0 when the service is up"
    )
    interval: Duration = Field(5.0, description="Time between two looks")
    timeout: Duration = Field(3.0, description="Longest that one look may take")
    retries: Annotated[int, Field(ge=1, le=100)] = Field(5, description="Failed looks until it counts as down")
    start: Delay = Field(30.0, description="Time it may take to come up")


class Service(Section):
    """A container that the target runs, or the address of what runs already, or both for different targets."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["image"]}, {"required": ["external"]}]})

    image: ImageName | None = Field(None, description="Image to run, best with its digest")
    external: Address | None = Field(
        None, description="host:port of one that runs already, for targets that run no services"
    )
    command: Annotated[Many[Word], Field(min_length=1)] | None = Field(
        None, description="Command in place of the image's"
    )
    ports: Many[Port] = Field((), description="Ports it listens on; the first is {port}")
    env: dict[ServiceEnvName, EnvValue] = Field({}, description="Environment of the service")
    secrets: dict[ServiceEnvName, Word] = Field(
        {}, description="Environment of the service from declared secrets: variable to secret"
    )
    volume: Volume | None = Field(None, description="Data that outlives the service")
    health: Health = Field(Health.model_construct(), description="How to see that it is up")
    resources: Resources = Field(Resources.model_construct(), description="What the service gets")
    provides: dict[EnvName, Text] = Field(
        {}, description="Environment that the tool gets; {host} and {port} stand for the service's address"
    )

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.image is None and self.external is None:
            raise PydanticCustomError(
                "service_nowhere",
                "has neither image nor external",
                {"expected": "image, external, or both", "fix": 'Add image = "…" to run it, or external = "host:port"'},
            )
        if self.image is not None and not self.ports:
            raise PydanticCustomError(
                "service_no_port",
                "has an image and no ports",
                {"expected": "the ports it listens on", "fix": "Add ports = [PORT]"},
            )
        return self

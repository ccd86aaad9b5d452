"""Options that every target of Kubernetes has, as its manifest spells them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from mcp_packager.errors import Place, Problem
from mcp_packager.manifest import Section
from mcp_packager.manifest.section import Many
from mcp_packager.manifest.units import Duration
from mcp_packager.manifest.verification import Json
from mcp_packager.manifest.words import Word
from mcp_targets._kube.site import Patch, Sharing, Steps

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

_LABEL: Final = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
_OBJECT: Final = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
_POINTER: Final = r"^(/[^/\u0000-\u001f\u007f]*)*$"

Label = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=_LABEL)]
"""A namespace's name, or a Service's."""

ObjectName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=_OBJECT)]
"""The name of most kinds of object."""

Pointer = Annotated[str, StringConstraints(max_length=1000, pattern=_POINTER)]


class Operation(Section):
    """One operation of a JSON patch (RFC 6902)."""

    op: Literal["add", "remove", "replace", "move", "copy", "test"] = Field(description="What it does")
    path: Pointer = Field(description="Where, such as /spec/template/spec/containers/0/env")
    from_: Pointer | None = Field(None, alias="from", description="Where from, for move and copy")
    value: Json = Field(None, description="What, for add, replace and test")

    def as_data(self) -> dict[str, Any]:
        """The operation as JSON."""
        data: dict[str, Any] = {"op": self.op, "path": self.path}
        if self.from_ is not None:
            data["from"] = self.from_
        return data | ({"value": self.value} if "value" in self.model_fields_set else {})


class PatchTable(Section):
    """``[[target.NAME.patches]]``: a change of the objects of one kind, after all else."""

    target: Word = Field(description='Kind of object, such as "Deployment"')
    name: ObjectName | None = Field(
        None, description="One of several: its name, or that of the service that it belongs to; all where unset"
    )
    json_: Many[Operation] = Field((), alias="json", description="Operations of a JSON patch")
    merge: dict[Word, Json] | None = Field(None, description="A strategic merge patch")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.json_) == (self.merge is not None):
            raise PydanticCustomError(
                "patch_how",
                "needs json or merge, one of them",
                {"expected": "either json or merge", "fix": "Keep one of the two"},
            )
        return self


class Canary(Section):
    """How calls move to a new version where the strategy is a canary."""

    steps: Annotated[Many[Annotated[int, Field(ge=1, le=90)]], Field(min_length=1, max_length=10)] = Field(
        (10, 50), description="Percent of the calls, one step after the other; all of them after the last"
    )
    hold: Duration = Field(60.0, description="How long each step is held while its Pods are watched")
    errors: Annotated[float, Field(ge=0, le=1)] = Field(
        0.05,
        description="By how much the share of failed calls may be above that of the version before, 0 to 1; seen where "
        "[serve.metrics] is set",
    )
    by: Literal["weights", "pods"] | None = Field(
        None,
        description="What gives it its share: weights of what lets clients in, or its share of the Pods; weights "
        "where unset and where there is something known to have them",
    )


def untried(manifest: Manifest, target: str, strategy: str, fields: set[str]) -> Iterator[Problem]:
    """Steps of a canary where there is none. ``fields`` are those that the manifest sets."""
    if strategy != "canary" and "canary" in fields:
        yield Problem(
            "the steps of a canary are said, and the strategy is another",
            'set strategy = "canary", or remove them',
            Place(str(manifest.path), key=f"target.{target}.canary"),
        )


def unweighed(manifest: Manifest, target: str, canary: Canary, *, is_let_in: bool) -> Iterator[Problem]:
    """Weights where nothing lets clients in that could have some."""
    if canary.by == "weights" and not is_let_in:
        yield Problem(
            "the steps of a canary are to be weights, and nothing lets clients in that has weights",
            'add host, or let its share of the Pods be its share of the calls: by = "pods"',
            Place(str(manifest.path), key=f"target.{target}.canary.by"),
        )


def steps_of(strategy: str, canary: Canary, manifest: Manifest, weights: Sharing) -> Steps | None:
    """How a new version is tried, where it is. ``weights``: what has them, where they are not refused."""
    if strategy != "canary":
        return None
    metrics = manifest.serve.metrics
    port = None if metrics is None else metrics.port
    by = Sharing.PODS if canary.by == "pods" else weights
    return Steps(canary.steps, canary.hold, canary.errors, port, by)


def patches_of(tables: tuple[PatchTable, ...], target: str) -> tuple[Patch, ...]:
    """The patches of ``[target.NAME]`` as data."""
    return tuple(
        Patch(
            key=f"target.{target}.patches[{number}]",
            target=table.target,
            name=table.name,
            operations=tuple(operation.as_data() for operation in table.json_),
            merge=table.merge,
        )
        for number, table in enumerate(tables)
    )

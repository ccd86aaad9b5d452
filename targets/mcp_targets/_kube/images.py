"""The tool's image in the registry that the nodes pull from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mcp_packager.errors import PackError, Problem, WorldError
from mcp_packager.target import Resource, Value
from mcp_targets._kube.loading import LOAD, load

REFERENCE: Final = "reference"


class Images:
    """Puts images into their repository, from the artifact's folder."""

    def __init__(self, output: Path | None, environ: Mapping[str, str]) -> None:
        self._output = output
        self._environ = environ

    def held(self, fields: Mapping[str, Value]) -> bool:
        """Whether the registry has it. One that cannot be asked from here is believed: its nodes may well reach it.

        So is a node's own store, which a Pod asks when it starts.
        """
        from mcp_packager.image import held

        if LOAD in fields:
            return True
        try:
            return held(fields[REFERENCE], environ=self._environ)
        except PackError:
            return True

    def push(self, resource: Resource) -> Mapping[str, Value]:
        """Send what the registry lacks of it.

        Raises:
            WorldError: it is not there, and this deploy brings none along.
        """
        from mcp_packager.image import ship

        repository, _, digest = str(resource.fields[REFERENCE]).partition("@")
        if self._output is None or not (self._output / "image").exists():
            if not self.held(resource.fields):
                raise WorldError(
                    Problem(
                        f"{repository} no longer has {digest[:19]}, and only a deploy of that version brings it along",
                        "build and deploy that version again",
                    )
                )
            return resource.fields
        if LOAD in resource.fields:
            load(resource.fields, self._output / "image", self._environ)
            return resource.fields
        pushed = ship(self._output, repository, environ=self._environ)
        if pushed.reference.digest != digest:
            raise WorldError(
                Problem(
                    f"the image in {self._output} is not the one that is wanted in {repository}",
                    "build and deploy again",
                    expected=digest,
                    found=pushed.reference.digest,
                )
            )
        return resource.fields

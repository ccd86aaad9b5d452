"""Artifacts: what a target runs, named by content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_packager.errors import Place, Problem, WorldError
from mcp_packager.files import write_atomic
from mcp_packager.target.schema import check_schema

ARTIFACT_SCHEMA = 1
ARTIFACT_FILE = "artifact.json"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One target's artifact.

    ``path`` is relative to the folder of ``artifact.json``, or ``None`` where the artifact lives elsewhere (a
    registry). ``digest`` is ``sha256:`` and 64 hexadecimal digits over what runs; ``size`` counts bytes of what is
    shipped. ``facts`` holds what the one target alone needs, as JSON data.
    """

    target: str
    kind: str
    tool: str
    version: str
    digest: str
    size: int
    contract_hash: str
    path: str | None = None
    platform: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The content of ``artifact.json``."""
        return {
            "schema": ARTIFACT_SCHEMA,
            "target": self.target,
            "kind": self.kind,
            "tool": self.tool,
            "version": self.version,
            "path": self.path,
            "digest": self.digest,
            "size": self.size,
            "contract_hash": self.contract_hash,
            "platform": self.platform,
            "facts": dict(self.facts),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, where: str | None = None) -> Artifact:
        """Read a document of this or an older schema.

        Raises:
            WorldError: the document is newer than this version, or is not an artifact's.
        """
        check_schema(document, ARTIFACT_FILE, ARTIFACT_SCHEMA, where=where)
        try:
            return cls(
                target=document["target"],
                kind=document["kind"],
                tool=document["tool"],
                version=document["version"],
                digest=document["digest"],
                size=document["size"],
                contract_hash=document["contract_hash"],
                path=document["path"],
                platform=document["platform"],
                facts=document["facts"],
            )
        except KeyError as error:
            raise WorldError(
                Problem(f"{ARTIFACT_FILE} lacks {error.args[0]!r}", "run mcp-pack build again", Place(file=where))
            ) from error


def write_artifact(artifact: Artifact, folder: Path) -> Path:
    """Write ``artifact.json`` into ``folder``: indented, sorted, the same bytes for the same artifact."""
    path = folder / ARTIFACT_FILE
    text = json.dumps(artifact.as_json(), indent=2, sort_keys=True, ensure_ascii=False)
    write_atomic(path, text.encode() + b"\n", durable=False)
    return path

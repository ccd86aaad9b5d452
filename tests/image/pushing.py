"""A tool project on a base of the tests' own, built and pushed by the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_packager.testing import Pack

_MANIFEST = """\
[tool]
name = "pushed-tool"
version = "{version}"
entrypoint = "pushed_tool"
dependencies = {dependencies}

[env]
GREETING = "hello"

[target.docker]
{options}

[stage.second.env]
GREETING = "good evening"
"""

_CODE = '''\
import os

from mcp_tool import tool


@tool
def greet(name: str) -> str:
    """Greet somebody."""
    return f"{{os.environ['GREETING']}}, {{name}}! This is {version}."
'''


def project(
    folder: Path,
    *,
    version: str = "1.0.0",
    options: str = "",
    dependencies: Sequence[str] = (),
    code: str = "",
) -> Path:
    """A tool that greets as its stage says; ``options`` are lines below ``[target.docker]``, ``code`` comes first."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = _MANIFEST.format(version=version, options=options, dependencies=json.dumps(list(dependencies)))
    (folder / "mcp-tool.toml").write_text(manifest)
    (folder / "pushed_tool.py").write_text(code + _CODE.format(version=version))
    return folder


@dataclass(frozen=True)
class Pushed:
    """What ``build --push`` printed."""

    document: dict[str, Any]

    @property
    def artifact(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["artifact"]
        return found

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["pushed"]
        return found

    @property
    def reference(self) -> str:
        return str(self.said["reference"])


def push(pack: Pack, repository: str, *arguments: str) -> Pushed:
    (made,) = pack.run("build", "--push", repository, *arguments).document["builds"]
    return Pushed(made)


def layout(folder: Path) -> dict[str, Any]:
    """The top manifest of an OCI layout."""
    top = json.loads((folder / "index.json").read_bytes())["manifests"][0]["digest"]
    found: dict[str, Any] = json.loads((folder / "blobs" / "sha256" / top[7:]).read_bytes())
    return found

"""A small tool project with a namespace of its own in the tests' cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mcp_packager.testing import Pack
from tests.cluster.cluster import Cluster

_MANIFEST = """\
[tool]
name = "trouble"
version = "{version}"
entrypoint = "trouble"

[target.kubernetes]
registry = "{registry}/team"
namespace = "{namespace}"
start_timeout = "{start}"
{options}

[serve]
drain = "1s"

[scale]
min = 1
max = 1
{more}
"""
CODE = '''\
from mcp_tool import tool


@tool
def version() -> str:
    """Tell the version."""
    return "{version}"
'''


class Tool:
    """The project, what is deployed of it, and what else is in its namespace."""

    def __init__(self, cluster: Cluster, folder: Path, namespace: str) -> None:
        self.cluster, self.folder, self.namespace = cluster, folder, namespace
        self.pack = Pack(folder, "kubernetes", {"MCP_PACK_HOME": str(folder.parent / "home")})

    def write(self, version: str, *, options: str = "", more: str = "", code: str = CODE, start: str = "90s") -> None:
        """Write the project as of a version; ``options`` of the target, ``more`` at the end of the manifest."""
        self.folder.mkdir(exist_ok=True)
        manifest = _MANIFEST.format(
            version=version,
            registry=self.cluster.registry,
            namespace=self.namespace,
            options=options,
            more=more,
            start=start,
        )
        (self.folder / "mcp-tool.toml").write_text(manifest)
        (self.folder / "trouble.py").write_text(code.replace("{version}", version))

    def asks(self, tool: str = "version", *arguments: str) -> Any:
        """What the deployed tool answers, asked from inside."""
        return self.pack.run("invoke", tool, *arguments).document["invoke"]["result"]["structuredContent"]["result"]

    def fails(self, *codes: int) -> str:
        """What a deploy says that does not succeed."""
        return self.pack.run("deploy", "--yes", expect=codes or (3,)).told

    def objects(self, kinds: str) -> list[dict[str, Any]]:
        """Objects of the namespace that are not on their way out."""
        found: list[dict[str, Any]] = self.cluster.get(kinds, "-n", self.namespace)["items"]
        return [each for each in found if "deletionTimestamp" not in each["metadata"]]

    def make_namespace(self, *objects: dict[str, Any]) -> None:
        """Make the namespace and what is to be in it before anybody deploys; the namespace is nobody's tool's."""
        self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        if objects:
            self.cluster.apply(*objects)

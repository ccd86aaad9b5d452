"""A project with everything that ``compose.yaml`` and ``Dockerfile`` must carry, and what ``build`` made of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_packager.testing import Pack

DESCRIPTION = 'It "counts" $HOME and \\ things'
WORD = "pa$$word ${HOME} ü"

MANIFEST = """\
[tool]
name = "{name}"
version = "1.0.0"
entrypoint = "counter_tool"
description = 'It "counts" $HOME and \\ things'

[env]
GREETING = "a$b"

[secrets.TOKEN]

[secrets.OTHER]
required = false

[secrets.STORE_WORD]
required = false

[services.store]
image = "{mirror}/library/redis:7"
ports = [6379]
volume = {{ path = "/data" }}
provides = {{ STORE = "{{host}}:{{port}}" }}
health = {{ command = ["redis-cli", "ping"], start = "20s", interval = "1s" }}
env = {{ WORD = "pa$$word ${{HOME}} ü" }}
secrets = {{ STORE_WORD = "STORE_WORD" }}
resources = {{ memory = "96Mi" }}

[resources]
cpu = 0.5
memory = "160Mi"

[[verify.call]]
tool = "count"
arguments = {{ by = 0 }}

[target.docker]
base = "{mirror}/library/python:{minor}-slim"
{options}
"""

CODE = '''\
import os
import socket

from mcp_tool import tool


@tool
def count(by: int) -> int:
    """Add to a number that the store keeps."""
    host, _, port = os.environ["STORE"].partition(":")
    with socket.create_connection((host, int(port)), 5) as store:
        store.sendall(f"INCRBY number {by}\\r\\n".encode())
        return int(store.recv(100).strip(b":\\r\\n"))


@tool
def told() -> str:
    """What this place was given."""
    return f"{os.environ['GREETING']} {os.environ['TOKEN']}"
'''


@dataclass(frozen=True)
class Emitted:
    """A built project."""

    pack: Pack

    @property
    def folder(self) -> Path:
        return self.pack.project / "dist" / "docker"

    @property
    def artifact(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "artifact.json").read_text())
        return found

    @property
    def reference(self) -> str:
        found: str = self.artifact["facts"]["reference"]
        return found

    def text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


def build(project: Path, mirror: str, minor: str, *, name: str = "counter", options: str = "port = 18123") -> Emitted:
    project.mkdir(parents=True, exist_ok=True)
    text = MANIFEST.format(mirror=mirror, minor=minor, name=name, options=options)
    (project / "mcp-tool.toml").write_text(text, encoding="utf-8")
    (project / "counter_tool.py").write_text(CODE)
    pack = Pack(project, "docker", {})
    pack.run("build")
    return Emitted(pack)

"""Small tool projects, and the command line that works on them."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.cli.process import run

CODE = '''
from mcp_tool import tool


@tool
def shout(text: str) -> str:
    """Say it loud.

    Args:
        text: What to say.
    """
    return text.upper()
'''

MANIFEST = """
[tool]
name = "shouter"
version = "1.0.0"
entrypoint = "server"

[[verify.call]]
tool = "shout"
arguments = { text = "hello" }
expect = { contains = "HELLO" }
"""


def project(folder: Path, *, code: str = CODE, manifest: str = MANIFEST) -> Path:
    """Write a project into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "server.py").write_text(code, encoding="utf-8")
    (folder / "mcp-tool.toml").write_text(manifest, encoding="utf-8")
    return folder


def ok(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command that must succeed."""
    done = run(*arguments, "--project", str(folder), env=env)
    assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def data(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What a command that must succeed prints with ``--json``."""
    document: dict[str, Any] = json.loads(ok(folder, *arguments, "--json", env=env).stdout)
    return document


@contextlib.contextmanager
def destroyed_afterwards(folder: Path, *stages: str) -> Iterator[None]:
    """Whatever the test deploys is gone at its end, however it ends."""
    try:
        yield
    finally:
        for stage in stages or ("default",):
            run("destroy", "--yes", "--project", str(folder), "--stage", stage)

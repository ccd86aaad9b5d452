"""The promise, on Docker: the same tool, unchanged, on this machine and in a container.

A fresh scaffold or an example at each run, all of them where everything is to run; the notes, with their database, are
in ``test_docker_notes.py``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import promise, sampling

pytestmark = [pytest.mark.real("dockerd", "docker-registry", "base-image"), pytest.mark.timeout(600)]


@pytest.mark.parametrize("name", sampling.sampled(promise.ALONE, 1, of="promise on docker"))
def test_one_tool_in_two_places(name: str, tmp_path: Path) -> None:
    (tmp_path / "mcp-workspace.toml").write_text(promise.WORKSPACE)
    with promise.project(name, tmp_path) as (folder, environ):
        promise.alike(folder, ("local", "docker"), {"MCP_PACK_HOME": str(tmp_path / "home"), **environ})

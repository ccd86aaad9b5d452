"""What several tests of `local` begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_packager.testing import Pack, Project


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[tuple[Project, Pack]]:
    """The suite's project, deployed; gone afterwards."""
    project = Project(tmp_path / "suite", "local")
    project.write("1.0.0")
    pack = Pack(project.folder, "local", {"MCP_PACK_HOME": str(tmp_path / "home")})
    pack.deploy()
    yield project, pack
    pack.run("destroy", "--yes")

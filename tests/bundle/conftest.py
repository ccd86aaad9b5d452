"""A store of the test's own, and a project of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_packager.store import Store
from tests.lock.projects import Project


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")

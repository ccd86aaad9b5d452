"""A project to lock, an index of the test's own, and a store that nobody else fills."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_packager.store import Store
from tests.lock.private_index import Index, serving
from tests.lock.projects import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    (tmp_path / "index").mkdir()
    with serving(Index(tmp_path / "index")) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")

"""A store of the test's own, and one registry for all that only put things there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_packager.store import Store
from tests.image import registries
from tests.image.attached import pair
from tests.image.shelf import Shelf


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registries.registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No Docker settings, and no waiting between tries."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr("mcp_packager.image.transport._FIRST_WAIT", 0.001)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("shelf")
    with registries.registry(folder) as address:
        yield Shelf(address, folder, pair(folder))

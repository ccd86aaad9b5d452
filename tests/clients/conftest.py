"""One server and one working folder for the node clients, for the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import real_parts
from tests.serve.process import HttpServer, fixture_bundle, http_server


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fixture_bundle(tmp_path_factory.mktemp("clients") / "bundle")


@pytest.fixture(scope="session")
def server(bundle: Path) -> Iterator[HttpServer]:
    with http_server(bundle) as running:
        yield running


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts beside the packages they import: node looks from where a script stands."""
    folder = tmp_path_factory.mktemp("scripts")
    for script in Path(__file__).parent.glob("*.mjs"):
        (folder / script.name).write_bytes(script.read_bytes())
    (folder / "node_modules").symlink_to(real_parts.node_modules())
    return folder

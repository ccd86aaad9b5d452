"""One fleet of three for the tests that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.replicas.fleet import Fleet, fleet
from tests.serve.process import fixture_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The conformance fixture."""
    return fixture_bundle(tmp_path_factory.mktemp("replicas") / "bundle")


@pytest.fixture(scope="session")
def three(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three replicas of it, open to everybody."""
    with fleet(tmp_path_factory.mktemp("three"), bundle, 3) as running:
        yield running

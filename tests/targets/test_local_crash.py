"""The crash matrix of `local` on real processes: killed by SIGKILL before, after and inside of what they write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.testing import Pack
from tests import sampling
from tests.targets.crash import matrix
from tests.targets.crash.matrix import Told, commands, timeout_of
from tests.targets.crash.picture import Stage, beside, processes
from tests.targets.loading import client
from tests.targets.test_local_life import wait_for

pytestmark = pytest.mark.timeout(1200 if sampling.whole() else 400)


class Place(matrix.Place):
    """One project in one home."""

    target = "local"

    def stage(self, new: str = "1.0.0", old: str = "2.0.0") -> Stage:
        names = {new: "new", old: "old"}
        timeouts = {f'"timeout": {timeout_of(version)}.0': f'"timeout": "{name}"' for version, name in names.items()}
        environ = {"MCP_PACK_HOME": str(self.project.folder.parent / "home"), "WORD": "sesame"}
        return Stage(Pack(self.project.folder, "local", environ), names | timeouts)

    def picture(self, new: str, old: str) -> dict[str, Any]:
        stage = self.stage(new, old)
        wait_for(stage.at_rest)
        return stage.picture()

    def url(self) -> str:
        return self.stage().url()

    def earlier(self) -> str:
        *_, before, _ = self.stage().world().records.listing()
        return str(before.number)

    def nothing_left(self) -> None:
        places = self.stage().places
        wait_for(lambda: not list(processes(places.root)))
        assert not places.root.exists()
        assert beside(places) == []


@contextmanager
def place(folder: Path, keep: int) -> Iterator[Place]:
    home = {"MCP_PACK_HOME": str(folder / "home"), "WORD": "sesame"}
    with client() as calls, commands("local", folder / "suite", home) as running:
        made = Place(folder, running, calls, keep)
        try:
            yield made
        finally:
            made.write("1.0.0")
            running.run("destroy")
        made.nothing_left()


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    return matrix.telling(capsys)


def test_a_first_deploy_and_a_destroy(tmp_path: Path, told: Told) -> None:
    with place(tmp_path, keep=0) as here:
        matrix.first_deploy_and_destroy(here, told)


def test_a_redeploy(tmp_path: Path, told: Told) -> None:
    with place(tmp_path, keep=0) as here:
        matrix.redeploy(here, told)


def test_a_rollback(tmp_path: Path, told: Told) -> None:
    with place(tmp_path, keep=1) as here:
        matrix.rollback(here, told)


def test_a_redeploy_that_was_killed_is_destroyed(tmp_path: Path, told: Told) -> None:
    with place(tmp_path, keep=1) as here:
        matrix.redeploy_then_destroy(here, told)

"""An example with its real dependency service on Docker and on Podman, called by the TypeScript client."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.testing import Pack
from tests import real_parts
from tests.containers import bases
from tests.containers.asking import daemon
from tests.sampling import whole

EXAMPLE = Path(__file__).parents[2] / "examples" / "notes-search"

pytestmark = [
    pytest.mark.skipif(not whole(), reason="its image is large: whole runs only"),
    pytest.mark.real("dockerd", "docker-registry", "base-image", "database-image", "node-modules"),
    pytest.mark.xdist_group("docker"),
    pytest.mark.timeout(600),
]


_ENGINES = ["docker", pytest.param("podman", marks=pytest.mark.real("podman", "podman-compose"))]


@pytest.fixture(scope="module", params=_ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the notes are deployed to."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "podman":
            patch.setenv("DOCKER_HOST", request.getfixturevalue("podman").address)
        yield request.param


@pytest.fixture(scope="module")
def notes(engine: str, mirror: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pack]:
    bases.push_postgres(mirror)
    ignored = shutil.ignore_patterns("__pycache__", "dist", "tests")
    project = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp(f"notes-{engine}") / "project", ignore=ignored)
    manifest = project / "mcp-tool.toml"
    # The daemon asks no mirror of ours.
    manifest.write_text(manifest.read_text().replace("docker.io/library/postgres:17", f"{mirror}/library/postgres:17"))
    pack = Pack(project, "docker", {"DATABASE_PASSWORD": "the-password-of-the-notes"})
    pack.deploy()
    yield pack
    pack.run("destroy", "--yes", "--data")


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client beside the packages that it imports: node looks from where a script stands."""
    folder = tmp_path_factory.mktemp("script")
    (folder / "node_modules").symlink_to(real_parts.node_modules())
    return Path(shutil.copy(Path(__file__).with_name("notes.mjs"), folder))


def worked_with(notes: Pack, script: Path, era: str, title: str) -> dict[str, Any]:
    """What the client that adds, reads and finds a note prints."""
    line = [str(real_parts.node()), str(script), era, notes.url(), title]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("era", ["legacy", "auto", "modern"])
def test_notes_are_kept_and_found(notes: Pack, script: Path, era: str) -> None:
    told = worked_with(notes, script, era, f"Tomatoes{era}")
    assert told["read"] == f"# Tomatoes{era}\n\nWater them in the morning.\n"
    assert told["found"] == [told["id"]]


def test_the_notes_outlive_the_database(notes: Pack, script: Path) -> None:
    worked_with(notes, script, "modern", "Basil")
    api = daemon().api
    label = {"label": ["mcp-pack/tool=notes-search", "mcp-pack/kind=service"]}
    (service,) = api.containers(filters=label)
    api.remove_container(service["Id"], force=True)
    notes.run("drift", expect=(4,))
    notes.deploy()
    assert "Basil" in notes.run("invoke", "search_notes", "query=basil").stdout

"""``dockerfile``: a Dockerfile describes the image below, a real builder makes it, and our layers stand on it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_packager.image import read_layout
from mcp_packager.testing import Pack
from mcp_packager.testing.client import greeting
from tests.containers import bases
from tests.containers.asking import daemon
from tests.containers.conftest import MINOR
from tests.image.pushing import project, push

pytestmark = [
    pytest.mark.real("dockerd", "docker-registry", "base-image"),
    pytest.mark.xdist_group("docker"),
    pytest.mark.timeout(300),
]

_MARK = "/etc/from-the-dockerfile"
_RUN = f"""RUN ["python3", "-c", "open('{_MARK}', 'w').write('here')"]"""


@pytest.fixture
def pack(tmp_path: Path, mirror: str) -> Iterator[Pack]:
    bases.push(mirror, MINOR)
    folder = project(tmp_path / "project", options='dockerfile = "below/Dockerfile"')
    (folder / "below").mkdir()
    (folder / "below" / "extra.txt").write_text("beside the Dockerfile")
    text = f"FROM {mirror}/library/python:{MINOR}-slim\n{_RUN}\nCOPY extra.txt /etc/extra.txt\n"
    (folder / "below" / "Dockerfile").write_text(text)
    pack = Pack(folder, "docker", {"MCP_PACK_HOME": str(tmp_path / "home"), "PATH": _path(tmp_path)})
    yield pack
    pack.run("destroy", "--yes", "--data")


def _path(tmp_path: Path) -> str:
    """Programs, with the client of the daemon's own version first."""
    import os

    place = tmp_path / "bin"
    place.mkdir()
    (place / "docker").symlink_to("/usr/bin/docker")
    return f"{place}:{os.environ['PATH']}"


def test_the_tool_stands_on_what_the_dockerfile_made(pack: Pack) -> None:
    done = pack.deploy()
    assert greeting(done["endpoint"]["url"]) == "hello, you! This is 1.0.0."
    artifact = json.loads((pack.project / "dist" / "docker" / "artifact.json").read_text())
    api = daemon().api
    made = api.create_container(artifact["facts"]["reference"], entrypoint=["python3"], command=["-c", "pass"])
    try:
        for name, text in ((_MARK, b"here"), ("/etc/extra.txt", b"beside the Dockerfile")):
            chunks, _ = api.get_archive(made["Id"], name)
            assert text in b"".join(chunks)
    finally:
        api.remove_container(made["Id"])


def test_is_the_same_image_again_without_another_save(pack: Pack, mirror: str) -> None:
    first = push(pack, f"{mirror}/team/below")
    shutil.rmtree(pack.project / "dist")
    again = push(pack, f"{mirror}/team/below")
    assert again.reference == first.reference
    assert again.said["blobs"] == 0
    (one,) = read_layout(Path(again.document["folder"]) / "image").images
    assert len(one.base.layers) == 3
    assert str(one.base.reference).startswith("localhost/mcp-pack/dockerfile@sha256:")


def test_nothing_of_the_project_reaches_a_builder_beside_it(pack: Pack) -> None:
    text = (pack.project / "below" / "Dockerfile").read_text()
    (pack.project / "Dockerfile").write_text(text)
    (pack.project / "extra.txt").write_text("what no image may hold")
    manifest = pack.project / "mcp-tool.toml"
    manifest.write_text(manifest.read_text().replace("below/Dockerfile", "Dockerfile"))
    answer = pack.run("build", expect=(1,))
    (problem,) = answer.document["problems"]
    assert problem["what"] == "the Dockerfile could not be built"
    assert "extra.txt" in problem["found"]
    assert not (pack.project / "dist").exists() or not list((pack.project / "dist").iterdir())


def test_says_what_is_wrong_with_it(pack: Pack) -> None:
    file = pack.project / "below" / "Dockerfile"
    file.write_text(file.read_text() + 'RUN ["python3", "-c", "raise SystemExit(\'no such package\')"]\n')
    (problem,) = pack.run("build", expect=(1,)).document["problems"]
    assert problem["file"] == str(file)
    assert "no such package" in problem["found"] or "returned a non-zero code" in problem["found"]
    file.unlink()
    (problem,) = pack.run("build", expect=(1,)).document["problems"]
    assert problem["what"].startswith("there is no Dockerfile")
    manifest = pack.project / "mcp-tool.toml"
    manifest.write_text(manifest.read_text().replace("[target.docker]", '[target.docker]\nbase = "python:3"'))
    (problem,) = pack.run("build", expect=(1,)).document["problems"]
    assert problem["key"] == "target.docker.dockerfile"


def test_without_a_builder_there_is_one_problem(pack: Pack, tmp_path: Path) -> None:
    alone = pack.having(DOCKER_HOST=f"unix://{tmp_path}/nobody.sock", PATH=str(tmp_path / "bin"))
    (problem,) = alone.run("build", expect=(3,)).document["problems"]
    assert problem["what"] == "nothing here can build a Dockerfile"
    assert "podman" in problem["fix"].lower()

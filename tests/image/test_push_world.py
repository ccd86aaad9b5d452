"""A push into a bad world: one problem with its fix, nothing half-done, and the same command finishes it later."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.image import held
from mcp_packager.testing import Pack
from tests.containers import bases
from tests.image import registries
from tests.image.pushing import project, push

pytestmark = pytest.mark.real("docker-registry", "base-image")

MINOR = "{}.{}".format(*sys.version_info)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registries.registry(tmp_path_factory.mktemp("mirror")) as address:
        bases.push(address, MINOR)
        bases.push_foreign(address, MINOR)
        yield address


@pytest.fixture
def pack(tmp_path: Path, mirror: str) -> Pack:
    environ = {"MCP_PACK_REGISTRY_MIRROR": mirror, "DOCKER_CONFIG": str(tmp_path / "docker")}
    return Pack(project(tmp_path / "project"), "docker", environ)


def _problem(pack: Pack, repository: str, code: int) -> dict[str, Any]:
    """The one problem that a push tells."""
    answer = pack.run("build", "--push", repository, expect=(code,))
    assert "Traceback" not in answer.told
    (problem,) = answer.document["problems"]
    assert problem["fix"]
    found: dict[str, Any] = problem
    return found


def test_a_registry_that_is_down(pack: Pack, mirror: str) -> None:
    nobody = f"127.0.0.1:{registries.free_port()}"
    assert f"the registry {nobody} cannot be reached" in _problem(pack, f"{nobody}/team/tool", 3)["what"]
    assert held(push(pack, f"{mirror}/team/after-down").reference)


def test_wrong_credentials(pack: Pack, mirror: str, tmp_path: Path) -> None:
    with registries.token_front(mirror, [], []) as guarded:
        repository = f"{guarded}/team/guarded"
        assert "does not let anybody push to team/guarded" in _problem(pack, repository, 1)["what"]
        (tmp_path / "docker").mkdir()
        for word, code in (("hunter2", 1), ("secret-word", 0)):
            known = base64.b64encode(f"person:{word}".encode()).decode()
            (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {guarded: {"auth": known}}}))
            answer = pack.run("build", "--push", repository, expect=(code,))
            assert word not in answer.told
            if code:
                (problem,) = answer.document["problems"]
                assert "does not let 'person' push to team/guarded" in problem["what"]
                assert problem["fix"].startswith(f"log in: docker login {guarded}")


def test_a_registry_that_breaks_at_the_end_holds_nothing_under_the_tag(pack: Pack, mirror: str) -> None:
    def broken(method: str, path: str, _before: int) -> int | None:
        return 500 if method == "PUT" and "/manifests/" in path else None

    with registries.proxy(mirror, broken) as (address, _):
        assert "with 500" in _problem(pack, f"{address}/team/broken", 3)["what"]
    tag = json.loads((pack.project / "dist" / "docker" / "assembled.json").read_text())["tag"]
    assert not held(f"{mirror}/team/broken:{tag}")
    done = push(pack, f"{mirror}/team/broken")
    assert held(f"{mirror}/team/broken:{tag}")
    assert held(done.reference)


@pytest.mark.parametrize(
    ("base", "code", "word"),
    [("nobody/nothing:1", 1, "there is no image"), ("library/foreign:1", 1, "is not for linux/")],
)
def test_a_base_that_is_not_there_or_for_another_processor(
    pack: Pack, mirror: str, base: str, code: int, word: str
) -> None:
    project(pack.project, options=f'base = "{base}"')
    assert word in _problem(pack, f"{mirror}/team/base", code)["what"]
    dist = pack.project / "dist"
    assert not dist.exists() or not list(dist.iterdir())


@pytest.mark.parametrize("name", ["Team/Upper", "team/tool:1", "team/tool@sha256:" + "0" * 64])
def test_what_is_no_repository_is_refused_before_anything_is_built(pack: Pack, mirror: str, name: str) -> None:
    assert "repository" in _problem(pack, f"{mirror}/{name}", 1)["what"]
    assert not (pack.project / "mcp-tool.lock").exists()


def test_a_target_without_images_pushes_none(pack: Pack, mirror: str) -> None:
    local = Pack(pack.project, "local", pack.environ)
    assert _problem(local, f"{mirror}/team/none", 2)["what"] == "there is no image to push"


@pytest.mark.real("dockerd")
def test_a_full_disk(pack: Pack, mirror: str, tmp_path: Path) -> None:
    push(pack, f"{mirror}/team/full")
    place = tmp_path / "small"
    place.mkdir()
    # A file system of its own and too small, which only this command sees.
    script = 'mount -t tmpfs -o size=1m small "$1" && cd "$1" && shift && "$@"; code=$?; ls -A "$0" >&2; exit $code'
    command = pack.argv("build", "--push", f"{mirror}/team/full", "--output", str(place))
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, place, place, *command],
        env={**os.environ, **pack.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    (problem,) = json.loads(done.stdout)["problems"]
    assert "No space left on device" in problem["what"]
    assert "room" in problem["fix"]
    assert done.stderr.splitlines()[-1:] != [".docker.new"]
    assert "Traceback" not in done.stderr

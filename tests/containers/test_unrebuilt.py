"""One build on every stage: deployed from its folder or out of a registry, never built again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.testing import Pack
from mcp_packager.testing.client import greeting
from tests.containers.asking import daemon
from tests.image.pushing import project, push

pytestmark = [
    pytest.mark.real("dockerd", "docker-registry", "base-image"),
    pytest.mark.xdist_group("docker"),
    pytest.mark.timeout(300),
]


@pytest.fixture
def pack(tmp_path: Path) -> Any:
    pack = Pack(project(tmp_path / "project"), "docker", {"MCP_PACK_HOME": str(tmp_path / "home")})
    yield pack
    project(pack.project)
    for stage in ("default", "second"):
        pack.at(stage).run("destroy", "--yes", "--data")


def _forget_the_source(pack: Pack) -> None:
    """Code that cannot even be imported: whoever builds again fails."""
    (pack.project / "pushed_tool.py").write_text("raise SystemExit('built again')\n")


def test_one_build_is_put_on_two_stages_as_it_is(pack: Pack, tmp_path: Path) -> None:
    pack.run("build")
    kept = tmp_path / "kept"
    shutil.copytree(pack.project / "dist" / "docker", kept)
    shutil.rmtree(pack.project / "dist")
    _forget_the_source(pack)
    first = pack.deploy("--artifact", str(kept / "artifact.json"))
    second = pack.at("second").deploy("--artifact", str(kept))
    assert first["digest"] == second["digest"] == json.loads((kept / "artifact.json").read_text())["digest"]
    assert greeting(first["endpoint"]["url"]) == "hello, you! This is 1.0.0."
    assert greeting(second["endpoint"]["url"]) == "good evening, you! This is 1.0.0."
    assert first["contract_hash"] == second["contract_hash"]
    assert pack.deploy("--artifact", str(kept))["changed"] is False
    assert not (pack.project / "dist").exists()


def test_what_was_pushed_is_deployed_by_its_digest(pack: Pack, mirror: str) -> None:
    done = push(pack, f"{mirror}/team/by-digest")
    shutil.rmtree(pack.project / "dist")
    _forget_the_source(pack)
    _forget_the_images()
    due = pack.run("plan", "--artifact", done.reference).document
    assert due["changes_due"] is True
    deployed = pack.deploy("--artifact", done.reference)
    assert deployed["digest"] == done.artifact["digest"]
    assert deployed["version"] == "1.0.0"
    assert greeting(deployed["endpoint"]["url"]) == "hello, you! This is 1.0.0."
    assert pack.deploy("--artifact", done.reference)["changed"] is False
    assert pack.run("drift").code == 0
    refused = Pack(pack.project, "local", pack.environ).run("plan", "--artifact", done.reference, expect=(1,))
    assert "runs no images" in refused.told
    assert "--target docker" in refused.told


def test_rolls_back_to_an_image_out_of_a_registry(pack: Pack, mirror: str) -> None:
    first = push(pack, f"{mirror}/team/rolled")
    project(pack.project, version="1.1.0")
    second = push(pack, f"{mirror}/team/rolled")
    url = pack.deploy("--artifact", first.reference)["endpoint"]["url"]
    pack.deploy("--artifact", second.reference)
    assert greeting(url).endswith("1.1.0.")
    pack.run("rollback", "--yes")
    assert greeting(url).endswith("1.0.0.")


def test_what_does_not_fit_the_project_is_refused(pack: Pack, mirror: str, tmp_path: Path) -> None:
    reference = push(pack, f"{mirror}/team/unfit").reference
    other = Pack(project(tmp_path / "other"), "docker", pack.environ)
    file = other.project / "mcp-tool.toml"
    file.write_text(
        file.read_text().replace('"pushed-tool"', '"other-tool"')
        + '[[verify.call]]\ntool = "shout"\narguments = {}\nexpect = {}\n'
    )
    refused = other.run("deploy", "--yes", "--artifact", reference, expect=(1,))
    told = [problem["what"] for problem in refused.document["problems"]]
    assert told == [
        "that artifact is of the tool pushed-tool",
        "that artifact has no tool shout, which a [[verify.call]] is to call",
    ]
    assert other.run("status").document["deployments"][0]["state"] == "absent"


def test_what_is_no_artifact_is_said_to_be_none(pack: Pack, mirror: str, tmp_path: Path) -> None:
    for name, word in {
        str(tmp_path / "nowhere"): "there is no artifact",
        str(pack.project / "mcp-tool.toml"): "not what mcp-pack build wrote",
        f"{mirror}/team/none@sha256:{'0' * 64}": "there is no image",
        f"{mirror}/team/none:1": "there is no artifact",
    }.items():
        answer = pack.run("deploy", "--yes", "--artifact", name, expect=(1,))
        assert word in answer.told
    answer = Pack(pack.project, "local", pack.environ).run(
        "deploy", "--yes", "--artifact", str(tmp_path), expect=(1, 2)
    )
    assert "there is no artifact" in answer.told


def _forget_the_images() -> None:
    """Nothing of the tool's is at the daemon."""
    api = daemon().api
    for image in api.images(name="mcp-pack/pushed-tool"):
        api.remove_image(image["Id"], force=True)

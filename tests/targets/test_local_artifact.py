"""One build for `local`, put on two stages as it is; what is no such build is refused with what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_packager.testing import Pack, Project, greeting


@pytest.fixture
def pack(tmp_path: Path) -> Iterator[Pack]:
    made = Pack(tmp_path / "project", "local", {"MCP_PACK_HOME": str(tmp_path / "home")})
    Project(made.project, "local", "bundle = true").write("1.0.0")
    yield made
    Project(made.project, "local").write("1.0.0")
    for stage in ("default", "second"):
        made.at(stage).run("destroy", "--yes", "--data")


def test_one_build_is_put_on_two_stages_and_never_built_again(pack: Pack, tmp_path: Path) -> None:
    pack.run("build")
    kept = tmp_path / "kept"
    (pack.project / "dist" / "local").rename(kept)
    for code in pack.project.glob("*.py"):
        code.write_text("raise SystemExit('built again')\n")
    artifact = json.loads((kept / "artifact.json").read_text())
    first = pack.deploy("--artifact", str(kept))
    second = pack.at("second").deploy("--artifact", str(kept / "artifact.json"))
    assert first["digest"] == second["digest"] == artifact["digest"]
    assert greeting(first["endpoint"]["url"]).endswith("1.0.0.")
    assert greeting(second["endpoint"]["url"]).endswith("1.0.0.")
    assert pack.deploy("--artifact", str(kept))["changed"] is False
    assert pack.run("drift").code == 0
    assert list((pack.project / "dist").iterdir()) == []


def test_what_is_no_such_build_is_refused_before_anything_is_touched(pack: Pack, tmp_path: Path) -> None:
    pack.run("build")
    built = pack.project / "dist" / "local"
    whole = (built / "bundle.zip").read_bytes()
    document = json.loads((built / "artifact.json").read_text())

    def refused(place: Path, **other: object) -> tuple[str, str]:
        (place / "artifact.json").write_text(json.dumps({**document, **other}))
        (problem,) = pack.run("plan", "--artifact", str(place), expect=(1,)).document["problems"]
        return problem["what"], problem["fix"]

    odd = tmp_path / "odd"
    shutil.copytree(built, odd)
    what, fix = refused(odd, target="docker", kind="image")
    assert ("runs no images" in what, "--target docker" in fix) == (True, True)
    what, fix = refused(odd, facts={})
    assert ("a wheel alone" in what, "bundle = true" in fix) == (True, True)
    elsewhere = document["facts"]["bundle"] | {"tag": "aarch64-apple-darwin"}
    what, fix = refused(odd, facts={"bundle": elsewhere})
    assert "another kind of machine" in what
    (odd / "artifact.json").write_text(json.dumps(document))
    for spoiled in (whole[: len(whole) // 2], b"no zip"):
        (odd / "bundle.zip").write_bytes(spoiled)
        failed = pack.run("deploy", "--yes", "--artifact", str(odd), expect=(1, 3))
        assert "this is not the bundle that artifact.json names" in failed.told
    assert pack.run("status").document["deployments"][0]["state"] in {"absent", "stopped"}

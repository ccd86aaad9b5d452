"""``front = false``: the tool's own container publishes the port. A redeploy has a gap, and the plan says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.testing import Pack, Project, calling, greeting
from tests.containers.asking import daemon
from tests.containers.waiting import wait_for

pytestmark = [pytest.mark.real("dockerd", "docker-registry", "base-image"), pytest.mark.xdist_group("docker")]

ALONE, FRONTED = "keep = 2\nfront = false", "keep = 2"
NAME = "alone-tool"


def project(folder: Path, options: str = ALONE) -> Project:
    return Project(folder, "docker", options, name=NAME)


def ours() -> dict[str, dict[str, Any]]:
    """The containers of the tool that run, by their kind."""
    found = daemon().api.containers(filters={"label": [f"mcp-pack/tool={NAME}"]})
    return {each["Labels"]["mcp-pack/kind"]: each for each in found}


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pack]:
    made = Pack(tmp_path_factory.mktemp("project") / "suite", "docker", {})
    project(made.project).write("1.0.0")
    made.deploy()
    yield made
    made.run("destroy", "--yes", "--data")
    held, label = daemon(), {"label": [f"mcp-pack/tool={NAME}"]}
    assert held.api.containers(all=True, filters=label) == []
    assert held.volumes(label) == []
    assert held.api.networks(filters=label) == []
    assert held.api.images(name=f"mcp-pack/{NAME}") == []


def test_a_redeploy_is_verified_first_and_says_what_gap_it_costs(
    pack: Pack, capsys: pytest.CaptureFixture[str]
) -> None:
    url = pack.url()
    assert greeting(url).endswith("1.0.0.")
    assert ours().keys() == {"server"}
    project(pack.project).write("2.0.0")
    (plan,) = pack.run("plan").document["plans"]
    changes = {(change["kind"], change["phase"]): change for change in plan["plan"]["changes"]}
    assert changes["server", "switch"]["effect"].startswith("closes the port for about ")
    assert ("candidate", "candidate") in changes
    with calling(url) as calls:
        done = pack.deploy()
        wait_for(lambda: calls.answers[-1].endswith("2.0.0."))
    with capsys.disabled():
        print(f"\ndocker without a front, a redeploy: {len(calls.failures)} calls failed in the gap")
    assert done["endpoint"]["url"] == url
    assert ours().keys() == {"server"}
    assert pack.run("plan", "--exit-code").code == 0
    (back,) = pack.run("rollback", "--yes").document["deployments"]
    assert back["version"] == "1.0.0"
    assert greeting(url).endswith("1.0.0.")


def test_what_is_bad_is_found_before_the_port_closes(pack: Pack) -> None:
    url = pack.url()
    before = greeting(url)
    broken = project(pack.project)
    broken.write("4.0.0")
    broken.break_start()
    with calling(url) as calls:
        told = pack.run("deploy", "--yes", expect=(1, 3)).told
    assert "no such thing as a free start" in told
    assert calls.failures == []
    assert set(calls.answers) == {before}
    assert ours().keys() == {"server"}


def test_a_server_taken_away_comes_back_on_its_port(pack: Pack) -> None:
    url = pack.url()
    project(pack.project).write("1.0.0")
    daemon().api.remove_container(ours()["server"]["Id"], force=True)
    (status,) = pack.run("status").document["deployments"]
    assert status["state"] == "stopped"
    pack.deploy()
    assert pack.url() == url
    assert greeting(url).endswith("1.0.0.")


def test_the_front_comes_and_goes_and_the_port_stays(pack: Pack) -> None:
    url = pack.url()
    project(pack.project, FRONTED).write("2.0.0")
    assert pack.deploy()["endpoint"]["url"] == url
    assert greeting(url).endswith("2.0.0.")
    assert ours().keys() == {"container", "front"}
    pack.run("rollback", "--yes")
    assert pack.url() == url
    assert greeting(url).endswith("1.0.0.")
    assert ours().keys() == {"server"}
    assert pack.run("drift").code == 0

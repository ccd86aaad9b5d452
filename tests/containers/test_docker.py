"""The target ``docker`` keeps the promises of every target, on a real daemon."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.target import Identity
from mcp_packager.testing import Pack, TargetSuite
from mcp_targets.docker.names import Names, key_of
from tests.containers.asking import daemon

pytestmark = [pytest.mark.real("dockerd", "docker-registry", "base-image"), pytest.mark.xdist_group("docker")]


def names_of(pack: Pack) -> Names:
    return Names(Identity("suite-tool", "suite-tool", pack.stage))


def containers(pack: Pack, kind: str | None = None) -> list[dict[str, Any]]:
    found = daemon().api.containers(all=True, filters=names_of(pack).filters)
    return [each for each in found if kind is None or key_of(each["Labels"]).kind == kind]


def _images_of_nobody(api: Any) -> list[str]:
    """Images of the suite's tool that no container is made of; those of another stage are that stage's."""
    used = {each["ImageID"] for each in api.containers(all=True)}
    return [each["RepoTags"][0] for each in api.images(name="mcp-pack/suite-tool") if each["Id"] not in used]


class TestDocker(TargetSuite):
    target = "docker"
    options = "keep = 3"

    @classmethod
    def strike(cls, pack: Pack) -> None:
        for container in containers(pack, "container"):
            daemon().api.remove_container(container["Id"], force=True)

    @classmethod
    def leftovers(cls, pack: Pack) -> Sequence[str]:
        held = daemon()
        api = held.api
        filters = names_of(pack).filters
        return [
            *(each["Names"][0] for each in containers(pack)),
            *(each["Name"] for each in held.volumes(filters)),
            *(each["Name"] for each in api.networks(filters=filters)),
            *_images_of_nobody(api),
        ]


@pytest.mark.timeout(300)
def test_the_demonstration_runs_where_a_daemon_is() -> None:
    """And leaves nothing there."""
    program = Path(__file__).parents[2] / "docs" / "demo.py"
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "to docker: a daemon answers, and the base image is to be had" in done.stdout
    assert "answer    greet({'name': 'world'}) -> {'result': 'Hello, world!'}" in done.stdout
    assert daemon().volumes({"label": ["mcp-pack/tool=hello-tools"]}) == []

"""The target ``docker`` on Podman: the core of what every target promises, over Podman's Docker API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mcp_packager.testing import TargetSuite
from tests.containers import test_docker
from tests.containers.podman import Podman
from tests.sampling import sampled

pytestmark = [
    pytest.mark.real("dockerd", "podman", "podman-compose", "docker-registry", "base-image"),
    pytest.mark.xdist_group("docker"),
]

_CORE = sampled(
    [
        "test_deploys_and_answers_in_both_eras",
        "test_again_does_nothing_and_says_so",
        "test_an_edit_is_planned_and_reaches_clients_who_notice_nothing",
        "test_rolls_back_without_a_client_noticing",
        "test_stages_live_side_by_side",
        "test_destroy_leaves_nothing_and_can_be_repeated",
    ],
    1,
    of="what is promised on Podman",
)


@pytest.fixture(autouse=True, scope="module")
def _instead_of_docker(podman: Podman) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", podman.address)
        yield


class TestPodman(test_docker.TestDocker):
    """The shared suite's core."""


for _name in set(dir(TargetSuite)) - set(_CORE):
    if _name.startswith("test_"):
        setattr(TestPodman, _name, None)

"""Who may speak to whom, as the policies of a tool say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.targets.kube.policies import Outside, Peer, Pod, allowed
from tests.targets.kube.samples import EVERYTHING, SMALLEST, Made, made

ANYWHERE = Outside("93.184.216.34")
METADATA = Outside("169.254.169.254")
IN_CLUSTER = Outside("10.200.3.4")


class Scene:
    """The policies of a manifest, with the Pods that they are about."""

    def __init__(self, found: Made) -> None:
        self.policies = [item for item in found.objects if item["kind"] == "NetworkPolicy"]
        self.server = Pod(found.pod["metadata"]["labels"])
        (candidate,) = (item for item in found.resources if item.kind == "candidate")
        self.candidate = Pod(candidate.fields["object"]["metadata"]["labels"])
        self.services = {
            item["metadata"]["labels"]["app.kubernetes.io/component"].removeprefix("service-"): Pod(
                item["spec"]["template"]["metadata"]["labels"]
            )
            for item in found.objects
            if item["kind"] == "StatefulSet"
        }

    def may(self, source: Any, target: Any, port: int, protocol: str = "TCP") -> bool:
        return allowed(self.policies, source, target, port, protocol)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(made(tmp_path, EVERYTHING))


def test_by_default_a_tool_answers_and_asks_nobody_but_resolvers(tmp_path: Path) -> None:
    scene = Scene(made(tmp_path, SMALLEST))
    assert scene.may(IN_CLUSTER, scene.server, 8000)
    assert not scene.may(IN_CLUSTER, scene.server, 9464)
    assert scene.may(scene.server, IN_CLUSTER, 53, "UDP")
    assert scene.may(scene.server, Outside("169.254.20.10"), 53), "a resolver of the node's own"
    for where, port in ((ANYWHERE, 443), (IN_CLUSTER, 5432), (METADATA, 80), (Outside("2001:db8::1"), 443)):
        assert not scene.may(scene.server, where, port)


def test_what_is_declared_is_reached_and_nothing_beside_it(scene: Scene) -> None:
    assert scene.may(scene.server, Outside("198.51.100.9"), 5432)
    assert not scene.may(scene.server, Outside("198.51.101.9"), 5432)
    assert not scene.may(scene.server, Outside("198.51.100.9"), 5434)
    assert scene.may(scene.server, Outside("203.0.113.7"), 123, "UDP")
    assert not scene.may(scene.server, Outside("203.0.113.7"), 123)
    assert scene.may(scene.server, Outside("192.0.2.25"), 587), "a service that runs elsewhere"
    assert not scene.may(scene.server, Outside("192.0.2.26"), 587)


def test_a_host_opens_its_ports_but_never_the_nodes_own_services(scene: Scene) -> None:
    for where in (ANYWHERE, IN_CLUSTER, Outside("2001:db8::1")):
        assert scene.may(scene.server, where, 443)
    for address in ("169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fe80::1"):
        for port in (80, 443):
            assert not scene.may(scene.server, Outside(address), port)


def test_what_the_server_itself_needs_is_open(scene: Scene) -> None:
    assert scene.may(scene.server, ANYWHERE, 8443), "the issuer"
    assert scene.may(scene.server, IN_CLUSTER, 4318), "the collector"
    assert scene.may(scene.server, IN_CLUSTER, 6443), "the API server, for [permissions.kubernetes]"
    assert scene.may(IN_CLUSTER, scene.server, 9464), "who collects metrics"


def test_services_answer_the_tool_and_its_candidate_alone(scene: Scene) -> None:
    for source in (scene.server, scene.candidate):
        assert scene.may(source, scene.services["store"], 6379)
        assert scene.may(source, scene.services["search"], 9300)
        assert not scene.may(source, scene.services["store"], 6380)
    strangers: list[Peer] = [IN_CLUSTER, Pod({"app.kubernetes.io/name": "other"}), scene.services["search"]]
    for stranger in strangers:
        assert not scene.may(stranger, scene.services["store"], 6379)
    assert not scene.may(scene.services["store"], ANYWHERE, 443)


def test_another_stage_does_not_reach_a_stages_services(tmp_path: Path) -> None:
    text = f"{EVERYTHING}\n[stage.second.env]\nGREETING = 'good evening'\n"
    one, other = (Scene(made(tmp_path / stage, text, stage=stage)) for stage in ("default", "second"))
    policies = [*one.policies, *other.policies]
    assert allowed(policies, one.server, one.services["store"], 6379)
    assert not allowed(policies, other.server, one.services["store"], 6379)


@pytest.mark.parametrize(
    ("lines", "where", "port"),
    [
        ('events = "redis://192.0.2.7"', "192.0.2.7", 6379),
        ('events = "env:EVENTS"\n[env]\nEVENTS = "rediss://192.0.2.7:6380"', "192.0.2.7", 6380),
        ('auth = { mode = "jwt", issuer = "https://a.example", jwks_url = "https://b.example:444/k" }', "8.8.8.8", 444),
    ],
)
def test_where_the_server_connects_to_is_read_from_the_manifest(
    tmp_path: Path, lines: str, where: str, port: int
) -> None:
    scene = Scene(made(tmp_path, f"{SMALLEST}\n[serve]\n{lines}\n"))
    assert scene.may(scene.server, Outside(where), port)
    assert not scene.may(scene.server, Outside(where), port + 1)

"""The crash matrix of `kubernetes` against the real API server: killed before, after and inside of what it asks for."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from mcp_packager import engine
from mcp_packager.target import Artifact, Endpoint, Holder, Identity, Intent, RecordTakenError, Release, WorldInput
from mcp_packager.testing import Pack, Project, greeting
from mcp_targets._kube.client import kubeconfig
from mcp_targets._kube.records import KIND, NAME, RELEASE
from mcp_targets._kube.world import KubeWorld
from mcp_targets.kubernetes.options import Options
from tests import sampling
from tests.cluster.cluster import Cluster
from tests.cluster.ingress import DOMAIN, Ingresses
from tests.targets.crash import matrix
from tests.targets.crash.matrix import Told, commands, timeout_of
from tests.targets.loading import client

pytestmark = [
    pytest.mark.real("own-cluster", "base-image", "balancers"),
    pytest.mark.timeout(7200 if sampling.whole() else 600),
]

IDENTITY: Final = Identity("suite-tool", "suite-tool", "default")
NAMESPACE: Final = "crash"
OPTIONS: Final = """\
registry = "{registry}/team"
namespace = "{namespace}"
class = "nginx"
https = false
internal = true
host = "crash.{domain}"
keep = {keep}
start_timeout = "90s"

[scale]
min = 1
max = 1

[secrets.WORD]
description = "What opens it"

[secrets.SPARE]
required = false
from = "file:spare.txt"

[serve]
drain = "3s"
timeout = "{timeout}s"
"""


def world() -> KubeWorld:
    options = Options(namespace=NAMESPACE)
    return KubeWorld(WorldInput(IDENTITY, options=options, environ=os.environ), kubeconfig(None, os.environ))


class Place(matrix.Place):
    """One project in the tests' cluster."""

    target = "kubernetes"
    cluster: Cluster

    def write(self, version: str) -> None:
        options = OPTIONS.format(
            registry=self.cluster.registry,
            namespace=NAMESPACE,
            domain=DOMAIN,
            keep=self._keep,
            timeout=timeout_of(version),
        )
        Project(self.project.folder, self.target, options).write(version)

    def picture(self, new: str, old: str) -> dict[str, Any]:
        here = world()
        releases = here.records.listing()
        holder = here.lock.read()
        assert holder is None or holder.expires == 0.0
        found = {
            "releases": [(release.outcome.value, release.intent.artifact.version) for release in releases],
            "things": [f"{key} {thing.scope.value}" for key, thing in here.observe().items() if key.kind != "image"],
            "drift": engine.draw(engine.drift(here).plan),
            "secrets": self.secrets(),
            "answer": greeting(self.url()),
        }
        text = json.dumps(found, sort_keys=True)
        for plain, name in _said(releases, {new: "new", old: "old"}):
            text = text.replace(plain, name)
        told: dict[str, Any] = json.loads(text)
        return {name: sorted(part) if isinstance(part, list) else part for name, part in told.items()}

    def url(self) -> str:
        return Pack(self.project.folder, "kubernetes", {}).url()

    def earlier(self) -> str:
        *_, before, _ = world().records.listing()
        return str(before.number)

    def nothing_left(self) -> None:
        here = world()
        assert [str(key) for key in here.observe() if key.kind != "namespace"] == []
        assert here.records.listing() == ()
        assert here.lock.read() is None
        assert self.secrets() == []

    def secrets(self) -> list[str]:
        """What each Secret object of the deployment is for."""
        found = self.cluster.get("secrets", "-n", NAMESPACE, "-l", "mcp-pack/tool=suite-tool")["items"]
        labels = [each["metadata"]["labels"] for each in found]
        return [f"{each[KIND]} {'' if each[KIND] == RELEASE else each[NAME]}" for each in labels]


def _said(releases: tuple[Release, ...], names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each text that differs between runs, and what to say for it."""
    for release in releases:
        name = names[release.intent.artifact.version]
        yield release.intent.artifact.digest.removeprefix("sha256:")[:16], f"image-{name}"
        for resource in release.intent.resources:
            if resource.kind == "configmap":
                yield resource.name, f"config-{name}"
    yield from names.items()


@contextmanager
def place(folder: Path, cluster: Cluster, keep: int) -> Iterator[Place]:
    environ = {"WORD": "sesame"}
    with client() as calls, commands("kubernetes", folder / "suite", environ) as running:
        made = Place(folder, running, calls, keep)
        made.cluster = cluster
        try:
            yield made
        finally:
            made.write("1.0.0")
            running.run("destroy", "--data")
        made.nothing_left()


@pytest.fixture(scope="module", autouse=True)
def _namespace(cluster: Cluster, ingresses: Ingresses) -> Iterator[None]:
    del ingresses  # clients come in there
    yield
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    return matrix.telling(capsys)


def first_deploy_and_destroy(here: matrix.Place, told: Told) -> None:
    """What a destroy leaves, the namespace, is there from the beginning, so that every first deploy writes the same."""
    here.write("1.0.0")
    here.commands.run("deploy")
    here.commands.run("destroy")
    matrix.first_deploy_and_destroy(here, told)


_STORIES: Final = {**matrix.STORIES, "a first deploy, a destroy": (first_deploy_and_destroy, 0)}


@pytest.mark.parametrize("story", sampling.sampled(sorted(_STORIES), 1, of="kubernetes crash"))
def test_killed(tmp_path: Path, cluster: Cluster, told: Told, story: str) -> None:
    tell, keep = _STORIES[story]
    with place(tmp_path, cluster, keep) as here:
        tell(here, told)


def test_a_lock_changes_hands_once(cluster: Cluster) -> None:
    """Of two who found it as it was, one gets it; that of another machine holds until its time is over."""
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    lock = world().lock
    holders = [Holder(f"somebody-{number}", "deploy", f"token-{number}", 1.0, 4e9) for number in range(8)]
    with ThreadPoolExecutor(len(holders)) as pool:
        got = list(pool.map(lambda holder: world().lock.swap(None, holder), holders))
    assert sum(got) == 1
    (mine,) = [holder for holder, taken in zip(holders, got, strict=True) if taken]
    assert lock.read() == mine
    renewed = [replace(mine, expires=mine.expires + number) for number in range(1, 9)]
    with ThreadPoolExecutor(len(renewed)) as pool:
        got = list(pool.map(lambda holder: world().lock.swap(mine, holder), renewed))
    assert sum(got) == 1
    (held,) = [holder for holder, taken in zip(renewed, got, strict=True) if taken]
    assert not lock.swap(mine, None)
    assert lock.swap(held, None)
    assert lock.read() is None


def test_a_release_as_long_as_two_secrets_is_kept_whole_and_forgotten_whole(cluster: Cluster) -> None:
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    noise = random.Random(7).randbytes(1_500_000).hex()
    release = released({"noise": noise})
    records = world().records
    records.add(release)
    records.add(release)  # an answer that was lost: it is what we find
    with pytest.raises(RecordTakenError):
        records.add(released({"noise": "other"}))
    assert records.listing() == (release,)
    records.remove(1)
    assert records.listing() == ()
    left = cluster.get("secrets", "-n", NAMESPACE, "-l", "mcp-pack/tool=suite-tool")["items"]
    assert left == []


def released(config: dict[str, Any]) -> Release:
    """A release with that config."""
    artifact = Artifact("kubernetes", "image", "suite-tool", "1.0.0", "sha256:" + "0" * 64, 1, "hash")
    intent = Intent(IDENTITY, "kubernetes", artifact, config, {"hash": "hash"}, ())
    return Release(1, intent, Endpoint(url="http://example.test/mcp"), "somebody", "2026-01-01T00:00:00Z")

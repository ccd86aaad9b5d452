"""A tool of two replicas behind an Ingress under a real client's load: updated, rolled back, struck, broken."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.testing import Pack, Project
from tests.cluster import amazon
from tests.cluster.cluster import Cluster
from tests.cluster.ingress import DOMAIN, Ingresses
from tests.sampling import sampled
from tests.targets.loading import AT_ONCE, Client, client

pytestmark = [pytest.mark.real("own-cluster", "base-image", "balancers"), pytest.mark.timeout(600)]

LEAST, FEWER = 2000, 400
"""Calls that must have been answered before it counts that none failed: through an update, and through less."""
LONGEST = 240.0
"""Seconds that they may take after what happens meanwhile is over, on a busy machine."""
NAMESPACE = "traffic"
OLD, NEW = "hello, you! This is 1.0.0.", "hello, you! This is 2.0.0."
HOST = f"traffic.{DOMAIN}"


PLAIN = f"""\
registry = "{{registry}}/traffic"
namespace = "{NAMESPACE}"
class = "nginx"
internal = true
https = false
host = "{HOST}"
"""
BALANCED = f"""\
cluster = "{amazon.CLUSTER}"
region = "{amazon.REGION}"
account = "{amazon.ACCOUNT}"
namespace = "{NAMESPACE}"
start_timeout = "120s"
host = "{HOST}"
"""


@pytest.fixture(scope="module", params=sampled(["kubernetes", "eks"], 1, of="traffic in a cluster"))
def deployed(
    request: pytest.FixtureRequest, cluster: Cluster, ingresses: Ingresses, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Project, Pack]]:
    """Version 1.0.0, behind the plain class or the load balancer of Amazon."""
    target: str = request.param
    folder = tmp_path_factory.mktemp("traffic")
    with contextlib.ExitStack() as stack:
        environ: Mapping[str, str] = {}
        if target == "eks":
            cluster.apply(*amazon.deployers())
            told = amazon.account(cluster, folder, hosts=ingresses.hosts, authority=ingresses.authority)
            environ = {**stack.enter_context(told).environ, "KUBECONFIG": "/nonexistent"}
        options = PLAIN.format(registry=cluster.registry) if target == "kubernetes" else BALANCED
        project = Project(folder / "tool", target, options)
        project.write("1.0.0")
        pack = Pack(project.folder, target, environ)
        pack.deploy()
        yield project, pack
        project.write("1.0.0")
        pack.run("destroy", "--yes", "--data")
    cluster.kubectl("delete", "namespace", NAMESPACE)


@pytest.fixture(scope="module")
def calls() -> Iterator[Client]:
    """The client, in a process of its own."""
    with client() as calling:
        yield calling


def pods(cluster: Cluster) -> list[dict[str, Any]]:
    """The tool's Pods that are ready and not leaving."""
    found = cluster.get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=server")["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"] and is_ready(pod)]


def is_ready(pod: dict[str, Any]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


@pytest.mark.parametrize("mode", sampled(["2026-07-28", "legacy"], 1, of="updates in a cluster"))
def test_an_update_and_a_rollback_fail_no_call(
    deployed: tuple[Project, Pack], calls: Client, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project, pack = deployed
    project.write("1.0.0")
    pack.deploy()
    with calls.load(pack.url(), mode, least=LEAST, seconds=LONGEST) as seen:
        project.write("2.0.0")
        pack.deploy()
        pack.run("rollback", "--yes")
    with capsys.disabled():
        print(f"\n{pack.target}, update and rollback, {mode}: {seen.count} calls, {len(seen.failed)} failed")
    assert seen.failed == []
    assert seen.count >= LEAST
    assert set(seen.answers) == {OLD, NEW}


def test_both_replicas_take_their_share(
    deployed: tuple[Project, Pack], cluster: Cluster, ingresses: Ingresses, calls: Client
) -> None:
    project, pack = deployed
    project.write("1.0.0")
    pack.deploy()
    before = len(ingresses.seen(HOST))
    with calls.load(pack.url(), least=200) as seen:
        pass
    assert seen.failed == []
    addresses = {f"{pod['status']['podIP']}:8000" for pod in pods(cluster)}
    assert len(addresses) == 2
    assert {entry["target"] for entry in ingresses.seen(HOST)[before:]} == addresses


def test_a_pod_that_is_deleted_fails_no_call(
    deployed: tuple[Project, Pack], cluster: Cluster, calls: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when a node is drained."""
    _, pack = deployed
    with calls.load(pack.url(), least=LEAST, seconds=LONGEST) as seen:
        leaving = pods(cluster)[0]["metadata"]["name"]
        cluster.kubectl("delete", "pod", "-n", NAMESPACE, leaving)
        cluster.kubectl("rollout", "status", "-n", NAMESPACE, "deployment", "--timeout=120s")
    with capsys.disabled():
        print(f"\n{pack.target}, a Pod deleted: {seen.count} calls, {len(seen.failed)} failed")
    assert seen.failed == []
    assert seen.count >= LEAST


def test_a_pod_that_is_killed_fails_calls_until_it_is_noticed_and_no_longer(
    deployed: tuple[Project, Pack],
    cluster: Cluster,
    ingresses: Ingresses,
    calls: Client,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A load balancer of Amazon's sends a call nowhere else; ingress-nginx does, if nobody took it."""
    _, pack = deployed
    before = len(ingresses.seen(HOST))
    with calls.load(pack.url(), least=FEWER, seconds=LONGEST) as seen:
        struck = pods(cluster)[0]
        os.kill(process_of(struck), signal.SIGKILL)
        ingresses.until(lambda: restarts(cluster, struck) == 1 and len(pods(cluster)) == 2, "it is not back")
        whole = len(ingresses.seen(HOST))
    with capsys.disabled():
        print(f"\n{pack.target}, a Pod killed: {seen.count} calls, {len(seen.failed)} failed")
    assert seen.count >= FEWER
    broken = [entry for entry in ingresses.seen(HOST)[before:] if entry["status"] != 200]
    assert {entry["target"].rpartition(" ")[2] for entry in broken} <= {f"{struck['status']['podIP']}:8000"}
    if pack.target == "kubernetes":
        # What it had in hand, and who came once more while the kernel took the process apart.
        assert len(seen.failed) <= 2 * AT_ONCE
    assert [entry for entry in ingresses.seen(HOST)[whole + 8 :] if entry["status"] != 200] == []


def process_of(pod: dict[str, Any]) -> int:
    """The server's process, as this side of the namespaces knows it."""
    wanted = f"pod{pod['metadata']['uid']}/"
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            inside = wanted in (folder / "cgroup").read_text() and "mcp_tool" in (folder / "cmdline").read_text()
        except OSError:
            continue
        if inside:
            return int(folder.name)
    raise AssertionError(f"no process of {pod['metadata']['name']}")


def restarts(cluster: Cluster, pod: dict[str, Any]) -> int:
    """How often its container was started again."""
    status = cluster.get("pod", pod["metadata"]["name"], "-n", NAMESPACE)["status"]
    return int(status["containerStatuses"][0]["restartCount"])


@pytest.mark.parametrize(
    ("expected", "reason"),
    sampled(
        [("hello", "no such thing as a free start"), ("something else", "something else")], 1, of="broken in a cluster"
    ),
)
def test_a_broken_version_reaches_no_client(
    deployed: tuple[Project, Pack],
    cluster: Cluster,
    calls: Client,
    expected: str,
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project, pack = deployed
    before = {pod["metadata"]["name"] for pod in pods(cluster)}
    with calls.load(pack.url(), least=FEWER, seconds=LONGEST) as seen:
        project.write("2.0.0", expected=expected)
        if expected == "hello":
            project.break_start()
        refused = pack.run("deploy", "--yes", expect=(1, 3))
    with capsys.disabled():
        print(f"\n{pack.target}, a version without {expected!r}: {seen.count} calls, {len(seen.failed)} failed")
    assert reason in refused.told
    assert seen.failed == []
    assert set(seen.answers) == {OLD}
    assert {pod["metadata"]["name"] for pod in pods(cluster)} == before

"""A canary whose share is weighed, under a client's load: behind Amazon's load balancer and behind ingress-nginx."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.testing import Pack, Project
from mcp_targets._kube.names import TRIED
from mcp_targets._kube.shares import is_second, is_weighed
from tests.cluster import amazon
from tests.cluster.cluster import Cluster
from tests.cluster.ingress import DOMAIN, Ingresses
from tests.cluster.test_canary import meanwhile
from tests.targets.loading import Client, client

pytestmark = [pytest.mark.real("own-cluster", "base-image", "balancers"), pytest.mark.timeout(900)]

NAMESPACE = "shares"
SHARE = 30
FEWEST = 200
"""Calls by which a share is judged: of so many, three standard deviations are ten in a hundred."""
NEAR = 0.1
OLD, NEW = "hello, you! This is 1.0.0.", "hello, you! This is 2.0.0."
CANARY = 'strategy = "canary"\ncanary = {{ steps = [{share}], hold = "{hold}", errors = 0.05 }}\n'
PLAIN = f"""\
registry = "{{registry}}/shares"
namespace = "{NAMESPACE}"
class = "nginx"
internal = true
https = false
host = "{{host}}"
"""
BALANCED = f"""\
cluster = "{amazon.CLUSTER}"
region = "{amazon.REGION}"
account = "{amazon.ACCOUNT}"
namespace = "{NAMESPACE}"
start_timeout = "120s"
host = "{{host}}"
"""
MORE = "\n[serve.metrics]\nport = 9464\n\n[scale]\nmin = 2\nmax = 3\n"


@dataclass
class Tried:
    """A tool that has version 1.0.0 deployed, and what of it was seen."""

    cluster: Cluster
    ingresses: Ingresses
    project: Project
    pack: Pack
    host: str
    addresses: set[str] = field(default_factory=set)
    times: list[float] = field(default_factory=list)

    def objects(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.cluster.get(kind, "-n", NAMESPACE)["items"]
        labelled = [each for each in found if each["metadata"].get("labels", {}).get("mcp-pack/tool") == self.name]
        return [each for each in labelled if "deletionTimestamp" not in each["metadata"]]

    @property
    def name(self) -> str:
        return self.project.name

    def write(self, version: str, *, code: str | None = None) -> None:
        self.project.write(version)
        with (self.project.folder / "mcp-tool.toml").open("a") as manifest:
            manifest.write(MORE)
        if code is not None:
            (self.project.folder / "suite_tool.py").write_text(code)

    def look(self) -> bool:
        """Note when the canary has its whole share, and whose addresses its Pods have."""
        tried = [pod for pod in self.objects("pods") if TRIED in pod["metadata"]["labels"]]
        self.addresses |= {f"{pod['status']['podIP']}:8000" for pod in tried if "podIP" in pod["status"]}
        if share(self.objects("ingress")) == SHARE:
            self.times.append(time.time())
            (autoscaler,) = self.objects("horizontalpodautoscalers")
            assert autoscaler["spec"]["behavior"]["scaleDown"]["selectPolicy"] == "Disabled"
        return False

    def seen(self) -> tuple[int, int]:
        """How many calls there were while it had its share, and how many of them were the canary's."""
        first, last = self.times[0] + 2.0, self.times[-1]
        entries = [each for each in self.ingresses.seen(self.host) if first < each["time"] < last]
        return len(entries), sum(each["target"] in self.addresses for each in entries)

    def is_alone(self) -> None:
        """Hold that there is nothing left of a canary."""
        kinds = ("deployments", "services", "ingress")
        assert [len(self.objects(kind)) for kind in kinds] == [1, 1, 1]
        doors = [*self.objects("ingress"), *self.objects("horizontalpodautoscalers")]
        assert not any(is_weighed(each) or is_second(each) for each in doors)
        assert "Disabled" not in json.dumps(doors)
        assert self.pack.run("drift").code == 0


def share(ingresses: list[dict[str, Any]]) -> int | None:
    """The percents that Ingresses give to a canary."""
    for each in ingresses:
        for key, value in (each["metadata"].get("annotations") or {}).items():
            if key == "nginx.ingress.kubernetes.io/canary-weight":
                return int(value)
            if key.startswith("alb.ingress.kubernetes.io/actions."):
                return int(json.loads(value)["forwardConfig"]["targetGroups"][1]["weight"])
    return None


@pytest.fixture(scope="module")
def account(cluster: Cluster, ingresses: Ingresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    cluster.apply(*amazon.deployers())
    folder = tmp_path_factory.mktemp("shares")
    with amazon.account(cluster, folder, hosts=ingresses.hosts, authority=ingresses.authority) as there:
        yield {**there.environ, "KUBECONFIG": "/nonexistent"}
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="module")
def calls() -> Iterator[Client]:
    with client() as calling:
        yield calling


@pytest.fixture
def tool(
    cluster: Cluster, ingresses: Ingresses, account: Mapping[str, str], tmp_path: Path
) -> Iterator[Callable[[str, str, str], Tried]]:
    """Makes tools that have version 1.0.0 deployed; they are destroyed at the end."""
    made: list[Tried] = []

    def make(name: str, target: str, hold: str) -> Tried:
        host = f"{name}.{DOMAIN}"
        options = (PLAIN if target == "kubernetes" else BALANCED).format(registry=cluster.registry, host=host)
        project = Project(tmp_path / name, target, options + CANARY.format(share=SHARE, hold=hold), name)
        environ = {"MCP_PACK_HOME": str(tmp_path / "home"), **(account if target == "eks" else {})}
        made.append(Tried(cluster, ingresses, project, Pack(project.folder, target, environ), host))
        made[-1].write("1.0.0")
        made[-1].pack.deploy()
        return made[-1]

    yield make
    for each in made:
        each.write("1.0.0")
        each.pack.run("destroy", "--yes", "--data")
        assert not [thing for kind in ("deployments", "services", "ingress") for thing in each.objects(kind)]


@pytest.mark.parametrize("target", ["kubernetes", "eks"])
def test_it_gets_its_share_and_no_call_fails(
    tool: Callable[[str, str, str], Tried], calls: Client, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = tool(f"share-{target}", target, "15s")
    tried.write("2.0.0")
    assert "its share of the calls is the weight of a second" in tried.pack.run("plan").told
    with calls.load(tried.pack.url(), pause=0.03, least=1) as seen, meanwhile(tried.look):
        told = tried.pack.run("deploy", "--yes").stderr
    assert f"ready, for {SHARE} % of the calls" in told
    every, its = tried.seen()
    with capsys.disabled():
        print(f"\n{target}: {its} of {every} calls to the canary; {seen.count} in all, {len(seen.failed)} failed")
    assert every >= FEWEST
    assert abs(its / every - SHARE / 100) < NEAR
    assert seen.failed == []
    assert set(seen.answers) == {OLD, NEW}
    tried.is_alone()


@pytest.mark.parametrize("target", ["kubernetes", "eks"])
def test_one_whose_calls_fail_goes_and_the_others_go_on(
    tool: Callable[[str, str, str], Tried], calls: Client, target: str
) -> None:
    tried = tool(f"broken-{target}", target, "120s")
    code = (tried.project.folder / "suite_tool.py").read_text()
    # Good to whoever deploys, who calls a time or two, and to nobody after them.
    broken = code.replace("import os\n", "import os\n\nCALLS = []\n", 1).replace(
        "    return f",
        "    CALLS.append(name)\n    if len(CALLS) > 8:\n        raise ValueError('no more')\n    return f",
    )
    tried.write("2.0.0", code=broken)
    with calls.load(tried.pack.url(), pause=0.05, least=1) as seen:
        told = tried.pack.run("deploy", "--yes", expect=(3,)).told
    assert "of the canary's calls" in told
    assert "clients get release 1 (version 1.0.0) as before" in told
    assert seen.failed == [], "each call was answered, be it by an error of the tool's"
    tried.is_alone()
    assert tried.pack.run("invoke", "greet", "name=you").document["invoke"]["result"]["content"][0]["text"] == OLD


@pytest.mark.parametrize("target", ["kubernetes", "eks"])
def test_a_deployer_that_is_killed_leaves_what_the_next_one_mends(
    tool: Callable[[str, str, str], Tried], calls: Client, target: str
) -> None:
    tried = tool(f"killed-{target}", target, "12s")
    tried.write("2.0.0")
    with calls.load(tried.pack.url(), pause=0.05, least=1) as seen:
        with tried.pack.start("deploy", "--yes") as process:
            deadline = time.monotonic() + 180
            while share(tried.objects("ingress")) != SHARE:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.2)
            process.kill()
            process.communicate()
        assert "ingress" in tried.pack.run("drift", expect=(4,)).told
        tried.pack.run("unlock", "--yes")
        tried.pack.deploy()
    assert seen.failed == []
    tried.is_alone()
    assert tried.pack.run("invoke", "greet", "name=you").document["invoke"]["result"]["content"][0]["text"] == NEW

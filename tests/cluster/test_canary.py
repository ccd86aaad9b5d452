"""A canary on a real cluster: it gets its share of calls, goes when the new version serves, goes when it breaks."""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mcp_packager.target import Identity
from mcp_packager.verify import McpClient
from mcp_targets._kube.client import Api, kubeconfig
from mcp_targets._kube.failing import FEWEST
from mcp_targets._kube.inside import forwarded
from mcp_targets._kube.names import TRIED, Names
from mcp_targets._kube.reasons import is_ready
from mcp_targets._kube.settings import PORT, own_hosts
from tests.cluster.cluster import Cluster
from tests.cluster.troubled import CODE, Tool

pytestmark = [pytest.mark.real("cluster", "base-image"), pytest.mark.timeout(600)]

CANARY = 'strategy = "canary"\ncanary = {{ steps = [50], hold = "{hold}" }}'
ENDING = """\
import os
import threading
import time


def _end() -> None:
    time.sleep(45)
    os._exit(7)


threading.Thread(target=_end, daemon=True).start()
"""
"""A version that is well for long enough to be found good, and then ends."""


@pytest.fixture
def tool(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Tool]:
    words = re.sub(r"[^a-z]+", "-", request.node.name.removeprefix("test_").lower())
    made = Tool(cluster, tmp_path / "trouble", words[:40].strip("-"))
    yield made
    cluster.kubectl("delete", "namespace", made.namespace, "--ignore-not-found", "--wait=false")


def deployments(tool: Tool) -> list[str]:
    return [each["metadata"]["name"] for each in tool.objects("deployments")]


def behind(tool: Tool) -> Counter[str]:
    """Versions of the Pods that the Service sends to."""
    (service,) = tool.objects("services")
    wanted = service["spec"]["selector"].items()
    pods = [pod for pod in tool.objects("pods") if wanted <= pod["metadata"]["labels"].items()]
    return Counter(pod["metadata"]["labels"]["app.kubernetes.io/version"] for pod in pods)


@contextmanager
def meanwhile(look: Callable[[], bool]) -> Iterator[None]:
    """Look every half second, until it is found or the block is over."""
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.5) and not look():
            pass

    looking = threading.Thread(target=work)
    looking.start()
    try:
        yield
    finally:
        done.set()
        looking.join()


def test_it_gets_its_share_and_goes_when_the_new_version_serves(tool: Tool) -> None:
    tool.write("1.0.0", options=CANARY.format(hold="1s"))
    assert "there is no canary of a first version" in tool.pack.run("deploy", "--yes").stderr
    tool.write("1.1.0", options=CANARY.format(hold="8s"))
    shares: list[Counter[str]] = []

    def look() -> bool:
        shares.append(behind(tool))
        return False

    with meanwhile(look):
        told = tool.pack.run("deploy", "--yes").stderr
    assert "canary: 1 of its Pods ready, for 50 % of the calls; watched for 8 s" in told
    assert Counter({"1.0.0": 1, "1.1.0": 1}) in shares
    assert tool.asks() == "1.1.0"
    assert len(deployments(tool)) == 1
    assert tool.pack.run("drift").code == 0
    back = tool.pack.run("rollback", "--yes")
    assert "this version has served clients before" in back.stderr
    assert tool.asks() == "1.0.0"
    assert len(deployments(tool)) == 1


def test_one_that_ends_while_it_is_watched_takes_nobody_with_it(tool: Tool) -> None:
    tool.write("1.0.0", options=CANARY.format(hold="180s"))
    tool.pack.deploy()
    before = deployments(tool)
    tool.write("1.1.0", options=CANARY.format(hold="180s"), code=ENDING + CODE)
    told = tool.fails()
    assert "canary" in told
    assert "exit code 7" in told or "started again" in told
    assert "clients get release 1 (version 1.0.0) as before" in told
    assert tool.asks() == "1.0.0"
    assert deployments(tool) == before
    assert tool.pack.run("drift").code == 0


def test_one_whose_calls_fail_takes_nobody_with_it(tool: Tool) -> None:
    metrics = "[serve.metrics]\nport = 9464\n"
    tool.write("1.0.0", options=CANARY.format(hold="180s"), more=metrics)
    tool.pack.deploy()
    before = deployments(tool)
    broken = CODE.replace('return "{version}"', 'raise ValueError("not today")')
    tool.write("1.1.0", options=CANARY.format(hold="180s"), more=metrics, code=broken)
    api = Api(kubeconfig(None, os.environ))
    host = own_hosts(Names(Identity("trouble", "trouble")).base, tool.namespace)[-1]

    def call() -> bool:
        """Call the canary, as often as counts, once it is ready."""
        found = [pod for pod in tool.objects("pods") if TRIED in pod["metadata"]["labels"] and is_ready(pod)]
        for pod in found:
            with forwarded(api, tool.namespace, [pod["metadata"]["name"]], PORT) as port:
                client = McpClient(f"http://127.0.0.1:{port}/mcp", {"Host": host})
                for _ in range(FEWEST):
                    assert client.call_tool("version", {})["isError"]
        return bool(found)

    with meanwhile(call):
        told = tool.fails()
    assert f"of the canary's calls {FEWEST} of {FEWEST} failed" in told
    assert "clients get release 1 (version 1.0.0) as before" in told
    assert tool.asks() == "1.0.0"
    assert deployments(tool) == before

"""A canary on a real cluster: it gets its share of calls, goes when the new version serves, goes when it breaks."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

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


def test_it_gets_its_share_and_goes_when_the_new_version_serves(tool: Tool) -> None:
    tool.write("1.0.0", options=CANARY.format(hold="1s"))
    assert "there is no canary of a first version" in tool.pack.run("deploy", "--yes").stderr
    tool.write("1.1.0", options=CANARY.format(hold="8s"))
    shares: list[Counter[str]] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.5):
            shares.append(behind(tool))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        told = tool.pack.run("deploy", "--yes").stderr
    finally:
        done.set()
        looking.join()
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

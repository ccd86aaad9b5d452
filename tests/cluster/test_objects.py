"""The objects of every sample before a real API server: taken without a warning, and changed in nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_packager.yaml import yaml_text
from tests import real_parts
from tests.cluster.cluster import Cluster
from tests.targets.kube.samples import SAMPLES, Made, made

pytestmark = pytest.mark.real("cluster", "base-image")


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest, cluster: Cluster, tmp_path: Path) -> Iterator[Made]:
    """What is made of a sample in a namespace of its own, which is there."""
    space = f"objects-{request.param}"
    text = SAMPLES[request.param].replace('namespace = "team-a"', "")
    found = made(tmp_path, text.replace("[target.kubernetes]\n", f'[target.kubernetes]\nnamespace = "{space}"\n', 1))
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space, "labels": labels}})
    yield found
    cluster.kubectl("delete", "namespace", space, "--wait=false")


def test_the_api_server_takes_them_without_a_word(sample: Made, cluster: Cluster) -> None:
    items = [json.loads(json.dumps(item)) for item in sample.objects if item["kind"] != "Namespace"]
    line = [str(real_parts.PARTS["kubernetes"]()), "kubectl", f"--kubeconfig={cluster.kubeconfig}", "apply"]
    done = subprocess.run(
        [*line, "--server-side", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-"],
        input="---\n".join(map(yaml_text, items)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    answered = json.loads(done.stdout)
    answered = answered["items"] if answered["kind"] == "List" else [answered]
    assert [item["kind"] for item in answered] == [item["kind"] for item in items]
    for sent, got in zip(items, answered, strict=True):
        assert lost(sent, got) == []


def lost(sent: object, got: object, path: str = "") -> list[str]:
    """Places where what was sent is not what is kept; what the server adds is its own."""
    match sent, got:
        case (dict(), dict()):
            return [place for key, item in sent.items() for place in lost(item, got.get(key), f"{path}.{key}")]
        case (list(), list()) if len(sent) == len(got):
            return [place for index, item in enumerate(sent) for place in lost(item, got[index], f"{path}[{index}]")]
        case _:
            return [] if sent == got else [f"{path}: {sent!r} became {got!r}"]

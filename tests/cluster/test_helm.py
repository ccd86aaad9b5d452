"""The emitted chart through a real Helm and a real cluster: installed, tested, upgraded, rolled back, removed."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # it has no types

from mcp_packager.errors import PackError
from mcp_packager.testing import Pack, Project, greeting
from tests import real_parts
from tests.cluster.cluster import Cluster
from tests.cluster.ingress import DOMAIN, Ingresses

pytestmark = [pytest.mark.real("own-cluster", "base-image", "balancers", "helm"), pytest.mark.timeout(600)]

NAMESPACE, RELEASE = "charted", "suite"
HOST = f"charted.{DOMAIN}"

Helm = Callable[..., str]


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Runs ``helm``; what it prints."""
    home = tmp_path_factory.mktemp("helm")
    environ = {**os.environ, **{f"HELM_{name}_HOME": str(home / name) for name in ("CACHE", "CONFIG", "DATA")}}

    def run(*arguments: str) -> str:
        line = [str(real_parts.PARTS["helm"]()), *arguments, "--namespace", NAMESPACE]
        done = subprocess.run(line, env=environ, capture_output=True, text=True, check=False, timeout=180)
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    return run


@pytest.fixture(scope="module")
def charts(
    cluster: Cluster, ingresses: Ingresses, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Path]]:
    """The chart of two versions, whose images are in the registry."""
    options = f"""\
registry = "{cluster.registry}/charted"
namespace = "{NAMESPACE}"
class = "nginx"
internal = true
https = false
host = "{HOST}"
"""
    del ingresses  # clients come in there
    folder = tmp_path_factory.mktemp("charted")
    project = Project(folder / "tool", "kubernetes", options)
    made = {}
    for version in ("1.0.0", "2.0.0"):
        project.write(version)
        output = folder / version
        pack = Pack(project.folder, "kubernetes", {})
        pack.run("build", "--output", str(output), "--push", f"{cluster.registry}/charted/suite-tool")
        made[version] = output / "kubernetes" / "chart"
    yield made
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


def test_lint_is_content(charts: dict[str, Path], helm: Helm) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(charts["1.0.0"]))


def test_values_out_of_the_schema_are_refused(charts: dict[str, Path], helm: Helm) -> None:
    with pytest.raises(AssertionError, match="autoscaling"):
        helm("template", RELEASE, str(charts["1.0.0"]), "--set", "autoscaling.minReplicas=none")
    with pytest.raises(AssertionError, match="replica"):
        helm("template", RELEASE, str(charts["1.0.0"]), "--set", "replica=3")


def test_the_life_of_a_release(cluster: Cluster, ingresses: Ingresses, charts: dict[str, Path], helm: Helm) -> None:
    def answers(version: str) -> bool:
        # Who is new is found, and who leaves is asked no more, a moment after Helm is done.
        with contextlib.suppress(PackError):
            return greeting(f"http://{HOST}/mcp") == f"hello, you! This is {version}."
        return False

    def serves(version: str) -> None:
        ingresses.until(lambda: answers(version), f"{version} does not answer")

    helm("install", RELEASE, str(charts["1.0.0"]), "--create-namespace", "--wait", "--timeout", "120s")
    serves("1.0.0")
    assert "Succeeded" in helm("test", RELEASE, "--timeout", "60s")
    key = secrets(cluster)

    helm("upgrade", RELEASE, str(charts["2.0.0"]), "--wait", "--timeout", "120s")
    serves("2.0.0")
    helm("upgrade", RELEASE, str(charts["2.0.0"]), "--wait", "--timeout", "120s", "--set", "replicas=3")
    assert cluster.get("deployment", "-n", NAMESPACE)["items"][0]["status"]["readyReplicas"] == 3

    helm("rollback", RELEASE, "1", "--wait", "--timeout", "120s")
    serves("1.0.0")
    assert secrets(cluster) == key

    helm("uninstall", RELEASE, "--wait", "--timeout", "120s")
    kinds = "deployments,services,ingresses,configmaps,networkpolicies,poddisruptionbudgets,serviceaccounts"
    left = {item["metadata"]["name"] for item in cluster.get(kinds, "-n", NAMESPACE)["items"]}
    # What the cluster itself puts into every namespace.
    assert left == {"kube-root-ca.crt", "default"}


def test_another_namespace_and_host_take_another_config(charts: dict[str, Path], helm: Helm) -> None:
    rendered = helm("template", RELEASE, str(charts["1.0.0"]), "--set", "ingress.host=elsewhere.example.test")
    objects = [item for item in yaml.safe_load_all(rendered) if item]
    (config,) = (item for item in objects if item["kind"] == "ConfigMap")
    assert "elsewhere.example.test" in str(config["data"])
    (running,) = (item for item in objects if item["kind"] == "Deployment")
    assert config["metadata"]["name"] in str(running["spec"]["template"]["spec"]["volumes"])


def secrets(cluster: Cluster) -> dict[str, str]:
    """Values of the chart's Secrets: the key that the copies share must outlive every release."""
    found = cluster.get("secrets", "-n", NAMESPACE, "--field-selector", "type=Opaque")["items"]
    assert found
    return {item["metadata"]["name"]: str(item["data"]) for item in found}

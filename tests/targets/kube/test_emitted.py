"""What ``build`` writes for others to apply: read back by those who know the API, and equal however it is applied."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jsonschema
import pytest

from mcp_packager.yaml import yaml_text
from mcp_targets._kube.chart import semantic
from mcp_targets._kube.emitting import write_files
from tests import real_parts
from tests.cluster.customs import CUSTOMS
from tests.targets.kube.samples import ON_EKS, PATCHED, SAMPLES, Made, made, made_on_eks, yaml

Objects = dict[tuple[str, str], dict[str, Any]]

SKIPPED: Mapping[str, str] = MappingProxyType(
    {
        "CKV_K8S_38 Deployment": "the token is mounted where [permissions.kubernetes] asks for rights, and only there",
        "CKV_K8S_43 Deployment": "an image that was loaded is known to nodes by its tag, which names its content",
        "CKV_K8S_15 Deployment": "an image that is there by its digest, or was loaded, is not asked for again",
        "CKV_K8S_22 StatefulSet": "images of others write beside their data; which places, nobody can know",
        "CKV_K8S_35 StatefulSet": "the manifest says that the service takes its secret as a variable",
        "CKV_K8S_43 StatefulSet": "the manifest names the service's image, by digest or not",
        "CKV_K8S_15 StatefulSet": "an image that is there is not asked for again, so that a registry may be away",
    }
)
"""Checks of checkov that objects do not pass, by kind of object, each with its reason."""


@dataclass(frozen=True)
class Written:
    """What was written for one sample."""

    found: Made
    folder: Path

    @property
    def manifests(self) -> list[Path]:
        return sorted((self.folder / "manifests").iterdir())

    @property
    def everything(self) -> Objects:
        """The objects of a cluster that knows all kinds."""
        return {(item["kind"], item["metadata"]["name"]): item for item in self.found.objects}

    @property
    def objects(self) -> Objects:
        return keyed("---\n".join(path.read_text(encoding="utf-8") for path in self.manifests))


def keyed(text: str) -> Objects:
    """Objects of a text of several, by kind and name; what Helm runs at its own times is none of them."""
    read = [item for item in yaml.safe_load_all(text) if item]
    return {
        (item["kind"], item["metadata"]["name"]): item
        for item in read
        if "helm.sh/hook" not in item["metadata"].get("annotations", {})
    }


@pytest.fixture(scope="module", params=[*SAMPLES, "patched", *ON_EKS])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp(request.param)
    name = request.param
    place = folder / "project"
    found = made_on_eks(place, ON_EKS[name]) if name in ON_EKS else made(place, SAMPLES.get(name, PATCHED))
    output = folder / "out"
    output.mkdir()
    write_files(found.request, found.site, output)
    return Written(found, output)


def told(part: str, *arguments: object, codes: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run([real_parts.PARTS[part](), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode in codes, done.stdout + done.stderr
    return done.stdout


def helm(written: Written, *arguments: str) -> Objects:
    chart = written.folder / "chart"
    return keyed(told("helm", "template", "release", chart, "--namespace", written.found.site.namespace, *arguments))


def test_what_is_written_is_what_a_deploy_makes_in_its_order(written: Written) -> None:
    expected = [item for item in written.found.objects if item["kind"] != "ServiceMonitor"]
    assert [yaml.safe_load(path.read_text(encoding="utf-8")) for path in written.manifests] == expected
    extras = sorted((written.folder / "extras").glob("*"))
    monitors = [item for item in written.found.objects if item["kind"] == "ServiceMonitor"]
    assert [yaml.safe_load(path.read_text(encoding="utf-8")) for path in extras] == monitors


@pytest.mark.real("kubernetes-validate")
def test_every_built_in_kind_is_what_its_schema_says(written: Written) -> None:
    said = told("kubernetes-validate", "--strict", *written.manifests)
    custom = {custom.kind for custom in CUSTOMS}
    built_in = [path for path in written.manifests if yaml.safe_load(path.read_text())["kind"] not in custom]
    assert said.count(" passed for resource ") == len(built_in), said


@pytest.mark.real("kubernetes-validate")
@pytest.mark.parametrize(
    ("old", "new"),
    [("containers:", "containerz:"), ("maxSurge: 1", 'maxSurge: ["1"]'), ("runAsUser: 65532", 'runAsUser: "65532"')],
)
def test_the_judge_of_schemas_sees_what_is_wrong(tmp_path: Path, old: str, new: str) -> None:
    wrong = tmp_path / "wrong.yaml"
    right = yaml_text(made(tmp_path / "project", SAMPLES["smallest"]).of("Deployment"))
    assert old in right
    wrong.write_text(right.replace(old, new))
    told("kubernetes-validate", "--strict", wrong, codes=(1,))


def test_every_custom_kind_is_what_its_schema_says(written: Written) -> None:
    schemas = {(f"{custom.group}/{custom.version}", custom.kind): closed(custom.spec) for custom in CUSTOMS}
    for item in written.found.objects:
        schema = schemas.get((item["apiVersion"], item["kind"]))
        if schema is not None:
            jsonschema.validate(item["spec"], schema)


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as an API server holds objects to it: what is not named is not taken."""
    inner = {
        key: {name: closed(each) for name, each in value.items()} if key == "properties" else value
        for key, value in schema.items()
    }
    if isinstance(inner.get("items"), Mapping):
        inner["items"] = closed(inner["items"])
    return {**inner, "additionalProperties": False} if "properties" in inner else inner


@pytest.mark.real("checkov")
@pytest.mark.slow
@pytest.mark.parametrize("written", ["everything", "gateway", "eks-group"], indirect=True)
def test_a_judge_of_security_finds_nothing_that_has_no_reason(written: Written) -> None:
    manifests = written.folder / "manifests"
    said = json.loads(
        told(
            "checkov", "--directory", manifests, "--framework", "kubernetes", "--skip-download", "--quiet",
            "--output", "json", codes=(0, 1),
        )
    )  # fmt: skip
    assert said["summary"]["passed"] > 80
    failed = {(check["check_id"], check["resource"].split(".")[0]) for check in said["results"]["failed_checks"]}
    assert {f"{check} {kind}" for check, kind in failed} <= SKIPPED.keys()


@pytest.mark.real("kubernetes")
def test_kustomize_reads_the_same_objects(written: Written) -> None:
    built = keyed(told("kubernetes", "kubectl", "kustomize", written.folder / "kustomize"))
    assert built == written.objects


@pytest.mark.real("helm")
def test_the_chart_gives_the_same_objects(written: Written) -> None:
    told("helm", "lint", "--strict", written.folder / "chart")
    expected = {key: item for key, item in written.everything.items() if "namespace" in item["metadata"]}
    monitored = [custom for key in expected for custom in CUSTOMS if custom.kind == key[0] == "ServiceMonitor"]
    apis = [f"--api-versions={custom.group}/{custom.version}" for custom in monitored]
    assert helm(written, *apis) == expected
    if monitored:
        assert not {kind for kind, _ in helm(written)} & {"ServiceMonitor"}


@pytest.mark.real("helm")
def test_values_change_what_they_say(written: Written) -> None:
    other = "sha256:" + "e" * 64
    which = f"image.tag={'e' * 12}" if written.found.site.image.load else f"image.digest={other}"
    changed = helm(
        written,
        "--set", f"image.repository=mirror.example.com/shop,{which},autoscaling.enabled=true,autoscaling.maxReplicas=7",
        "--set-json", 'tolerations=[{"key": "spot"}]',
    )  # fmt: skip
    before, after = (
        next(item for (kind, _), item in objects.items() if kind == "Deployment")
        for objects in (written.objects, changed)
    )
    assert "replicas" not in after["spec"]
    server = after["spec"]["template"]["spec"]["containers"][-1]
    assert server["image"].startswith("mirror.example.com/shop")
    assert server["image"].endswith("e" * 12)
    assert after["spec"]["template"]["spec"]["tolerations"] == [{"key": "spot"}]
    assert after["spec"]["selector"] == before["spec"]["selector"]
    (scaled,) = (item for (kind, _), item in changed.items() if kind == "HorizontalPodAutoscaler")
    assert scaled["spec"]["maxReplicas"] == 7


@pytest.mark.real("helm")
def test_another_host_or_namespace_is_another_config(written: Written) -> None:
    chart = written.folder / "chart"
    arguments = ["--namespace", "elsewhere"]
    if "ingress" in yaml.safe_load((chart / "values.yaml").read_text()):
        arguments += ["--set", "ingress.host=other.example.com"]
    moved = keyed(told("helm", "template", "release", chart, *arguments))
    names = {name for kind, name in moved if kind == "ConfigMap"}
    assert not names & {name for kind, name in written.objects if kind == "ConfigMap"}
    (config,) = (json.loads(item["data"]["config.json"]) for (kind, _), item in moved.items() if kind == "ConfigMap")
    assert any(host.endswith(".elsewhere.svc") for host in config["serve"]["allowed_hosts"])
    assert {item["metadata"]["namespace"] for item in moved.values()} == {"elsewhere"}
    (running,) = (item for (kind, _), item in moved.items() if kind == "Deployment")
    volumes = running["spec"]["template"]["spec"]["volumes"]
    assert {volume["configMap"]["name"] for volume in volumes if "configMap" in volume} == names
    if "ingress.host=other.example.com" in arguments:
        assert config["serve"]["public_url"] == "https://other.example.com"


@pytest.mark.real("helm")
@pytest.mark.parametrize("written", ["everything", "gateway"], indirect=True)
@pytest.mark.parametrize(
    "value", ['image.repository=a"b', "replicas=0", "replicas=two", "typo=1", "image.digest=latest", "image.tag=a b"]
)
def test_values_that_could_do_harm_are_refused(written: Written, value: str) -> None:
    told("helm", "template", "release", written.folder / "chart", "--set", value, codes=(1,))


def test_what_must_be_there_before_is_named(written: Written) -> None:
    text = (written.folder / "SECRETS.md").read_text(encoding="utf-8")
    wanted = {
        source["secret"]["name"]
        for volume in written.found.pod["spec"]["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
    }
    fetched = {item["metadata"]["name"] for item in written.found.objects if item["kind"] == "ExternalSecret"}
    for name in wanted - fetched - {"shared"}:
        assert f"create secret generic {name} --namespace {written.found.site.namespace}" in text


@pytest.mark.parametrize(
    ("version", "semver"),
    [
        ("1", "1.0.0"),
        ("1.2", "1.2.0"),
        ("1.2.3", "1.2.3"),
        ("1.2.3.4", "1.2.3+4"),
        ("1.2rc1", "1.2.0-rc.1"),
        ("2.0.0a3.dev4", "2.0.0-a.3.dev.4"),
        ("1.0.post2", "1.0.0+post.2"),
    ],
)
def test_a_charts_version_is_semantic(version: str, semver: str) -> None:
    assert semantic(version) == semver

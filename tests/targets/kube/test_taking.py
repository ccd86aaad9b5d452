"""Images that were built before, and what Pods then run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mcp_packager.errors import UserError
from mcp_packager.target import Artifact
from mcp_targets._kube.render import resources
from mcp_targets.eks import target as eks
from mcp_targets.eks.render import site as eks_site
from mcp_targets.kubernetes import target
from mcp_targets.kubernetes.render import site
from tests.targets.kube.samples import DIGEST, ON_EKS, SMALLEST, Made, made, made_on_eks

LOADED = SMALLEST.replace('registry = "registry.example.com/team"', 'load = "kind"')


def artifact(*, path: str | None, reference: str, **images: str) -> Artifact:
    facts = {"reference": reference, "images": images or {"amd64": "sha256:" + "f" * 64}}
    return Artifact("docker", "image", "shop", "1.0.0", DIGEST, 1, "c" * 64, path=path, facts=facts)


def runs(found: Made, artifact: Artifact) -> tuple[str, str]:
    """What the Pods of a deploy of the artifact name, and where its image is to be."""
    options = found.request.options
    ready = target.taken(artifact, found.manifest, options)
    made = resources(replace(found.request, artifact=ready), site(found.manifest, options, ready))
    (image,) = (item for item in made if item.kind == "image")
    (running,) = (item for item in made if item.kind == "deployment")
    (container,) = running.fields["object"]["spec"]["template"]["spec"]["containers"]
    return container["image"], image.fields["reference"]


def test_one_from_a_folder_goes_to_the_registry_of_the_cluster(tmp_path: Path) -> None:
    wanted = f"registry.example.com/team/shop@{DIGEST}"
    assert runs(made(tmp_path, SMALLEST), artifact(path="image", reference="mcp-pack/shop:1.0.0-a")) == (wanted, wanted)


def test_one_in_a_registry_stays_where_it_is(tmp_path: Path) -> None:
    wanted = f"127.0.0.1:5000/other/shop@{DIGEST}"
    assert runs(made(tmp_path, SMALLEST), artifact(path=None, reference="127.0.0.1:5000/other/shop")) == (
        wanted,
        wanted,
    )


def test_one_that_is_loaded_keeps_its_tag(tmp_path: Path) -> None:
    loaded, _ = runs(made(tmp_path, LOADED), artifact(path="image", reference="mcp-pack/shop:1.0.0-a"))
    assert loaded == "localhost/mcp-pack/shop:1.0.0-a"


@pytest.mark.parametrize(
    ("text", "given", "told"),
    [
        (SMALLEST, artifact(path="image", reference="a:b", arm64="sha256:1"), "no image for amd64"),
        (SMALLEST, replace(artifact(path="f.whl", reference="a:b"), kind="wheel"), "no image for amd64"),
        (LOADED, artifact(path=None, reference="registry.example.com/a"), "not loaded into nodes from here"),
    ],
)
def test_what_nodes_could_not_run_is_refused(tmp_path: Path, text: str, given: Artifact, told: str) -> None:
    found = made(tmp_path, text)
    with pytest.raises(UserError, match=told):
        target.taken(given, found.manifest, found.request.options)


def test_on_eks_one_from_a_folder_goes_to_ecr_and_one_in_a_registry_stays(tmp_path: Path) -> None:
    found = made_on_eks(tmp_path, ON_EKS["eks-group"])
    host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    for given, wanted in (
        (artifact(path="image", reference="mcp-pack/shop:1.0.0-a"), f"{host}/"),
        (artifact(path=None, reference=f"{host}/promoted/shop"), f"{host}/promoted/shop@"),
    ):
        ready = eks.taken(given, found.manifest, found.request.options)
        made = eks.desired(replace(found.request, artifact=ready))
        (image,) = (item.fields["reference"] for item in made if item.kind == "image")
        assert image.startswith(wanted)
        assert image.endswith(f"@{DIGEST}")
        assert eks_site(found.manifest, found.request.options, ready).image.reference == image
    with pytest.raises(UserError, match="no image for amd64"):
        eks.taken(artifact(path="image", reference="a:b", arm64="sha256:1"), found.manifest, found.request.options)


def test_a_dockerfile_describes_the_base_in_place_of_an_image(tmp_path: Path) -> None:
    found = made_on_eks(tmp_path, ON_EKS["eks-group"] + 'dockerfile = "Dockerfile"\n')
    options = found.request.options
    assert eks.base_image(found.manifest, options) is None
    assert eks.check(found.manifest, options) == ()
    both = made_on_eks(
        tmp_path / "both", ON_EKS["eks-group"] + 'dockerfile = "Dockerfile"\nbase = "python:3.13-slim"\n'
    )
    assert [problem.where.key for problem in eks.check(both.manifest, both.request.options)] == [
        "target.eks.dockerfile"
    ]

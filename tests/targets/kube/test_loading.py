"""Images for clusters without a registry: handed to the cluster's own program, as an archive that others read too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mcp_packager.errors import WorldError
from mcp_packager.target import Resource
from mcp_targets._kube.images import Images
from tests import real_parts

REPOSITORY = "localhost/mcp-pack/shop"

PROGRAM = """#!/bin/sh
printf '%s\\n' "$@" > {folder}/told
for one in "$@"; do case "$one" in *.tar) cp "$one" {folder}/taken.tar;; esac; done
{last}
"""
"""Stands for a program that no machine of the tests has: it keeps what it is given."""


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """An artifact's folder with an image of nothing, made by a program of others."""
    folder = tmp_path / "artifact"
    folder.mkdir()
    umoci = real_parts.PARTS["umoci"]()
    subprocess.run([umoci, "init", "--layout", folder / "image"], check=True, capture_output=True)
    subprocess.run([umoci, "new", "--image", f"{folder / 'image'}:1.0-a"], check=True, capture_output=True)
    return folder


def environment(folder: Path, name: str, last: str = "exit 0") -> dict[str, str]:
    program = folder / "bin" / name
    program.parent.mkdir()
    program.write_text(PROGRAM.format(folder=folder, last=last))
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}"}


def wanted(load: str, cluster: str | None = None) -> Resource:
    fields = {"reference": f"{REPOSITORY}@sha256:{'a' * 64}", "tag": "1.0-a", "load": load}
    return Resource("image", "a", {**fields, **({"cluster": cluster} if cluster else {})})


@pytest.mark.real("umoci", "skopeo")
@pytest.mark.parametrize(
    ("load", "cluster", "words"),
    [
        ("kind", None, ["load", "image-archive", "FILE"]),
        ("kind", "dev", ["load", "image-archive", "FILE", "--name", "dev"]),
        ("minikube", "dev", ["image", "load", "FILE", "--profile", "dev"]),
        ("k3s", None, ["ctr", "images", "import", "FILE"]),
    ],
)
def test_the_program_of_the_cluster_is_handed_an_archive(
    layout: Path, tmp_path: Path, load: str, cluster: str | None, words: list[str]
) -> None:
    resource = wanted(load, cluster)
    images = Images(layout, environment(tmp_path, load))
    assert images.push(resource) == resource.fields
    assert images.held(resource.fields)
    told = (tmp_path / "told").read_text().splitlines()
    assert ["FILE" if word.endswith(".tar") else word for word in told] == words
    archive = f"docker-archive:{tmp_path / 'taken.tar'}:{REPOSITORY}:1.0-a"
    read = subprocess.run(
        [real_parts.PARTS["skopeo"](), "inspect", "--raw", archive], capture_output=True, check=True, text=True
    )
    assert json.loads(read.stdout)["layers"] == []
    assert not Path(next(word for word in told if word.endswith(".tar"))).exists()


@pytest.mark.real("umoci")
def test_a_program_that_fails_or_is_missing_is_told(layout: Path, tmp_path: Path) -> None:
    failing = environment(tmp_path, "kind", last='echo "no nodes found for cluster dev" >&2; exit 1')
    with pytest.raises(WorldError, match="no nodes found for cluster dev"):
        Images(layout, failing).push(wanted("kind", "dev"))
    shutil.rmtree(tmp_path / "bin")
    with pytest.raises(WorldError, match="minikube"):
        Images(layout, {"PATH": str(tmp_path / "bin")}).push(wanted("minikube"))

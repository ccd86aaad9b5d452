"""``build --push``: from a project to a registry by the command line, and what others make of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_packager.image import Registry, held, parse, provenance, read_layout, sbom
from mcp_packager.image.referrers import Subject, tagged
from mcp_packager.image.registry import MANIFEST
from mcp_packager.testing import Pack
from tests.containers import bases
from tests.image import registries
from tests.image.attached import Keys, pair
from tests.image.pushing import layout, project, push
from tests.image.shelf import Shelf

pytestmark = pytest.mark.real("docker-registry", "base-image")

MINOR = "{}.{}".format(*sys.version_info)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registries.registry(tmp_path_factory.mktemp("mirror")) as address:
        bases.push(address, MINOR)
        yield address


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def pack(tmp_path: Path, mirror: str) -> Pack:
    environ = {
        "MCP_PACK_REGISTRY_MIRROR": mirror,
        "MCP_PACK_HOME": str(tmp_path / "home"),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
    }
    return Pack(project(tmp_path / "project"), "docker", environ)


def test_prints_the_digest_that_the_registry_has(pack: Pack, mirror: str) -> None:
    done = push(pack, f"{mirror}/team/first")
    assert done.reference == f"{mirror}/team/first@{done.artifact['digest']}"
    assert held(done.reference)
    assert done.said["tag"].startswith(f"{mirror}/team/first:1.0.0-")
    assert held(done.said["tag"])
    assert done.said["blobs"] > 2
    assert done.said["documents"] == 2
    assert done.said["signed"] is False


def test_sends_nothing_that_is_there(pack: Pack, mirror: str) -> None:
    first = push(pack, f"{mirror}/team/again")
    second = push(pack, f"{mirror}/team/again")
    assert (second.said["blobs"], second.said["documents"]) == (0, 0)
    assert second.reference == first.reference


def test_what_was_pushed_holds_with_its_key_and_fails_with_another(pack: Pack, mirror: str, keys: Keys) -> None:
    done = push(pack.having(MCP_PACK_SIGNING_KEY=str(keys.private)), f"{mirror}/team/signed")
    assert done.said["signed"] is True
    judge = ("verify-image", done.reference, "--require", "sbom,provenance,signature")
    assert _judged(pack, *judge, "--key", str(keys.public)) == 0
    other = pair(keys.public.parent, "ed25519")
    assert _judged(pack, *judge, "--key", str(other.public)) == 1


def test_what_somebody_changed_in_the_registry_is_found_out(
    pack: Pack, tmp_path: Path, mirror: str, keys: Keys
) -> None:
    with registries.registry(tmp_path / "shelf") as address:
        done = push(pack.having(MCP_PACK_SIGNING_KEY=str(keys.private)), f"{address}/team/spoiled")
        shelf = Shelf(address, tmp_path / "shelf", keys)
        manifest = layout(Path(done.document["folder"]) / "image")
        registry = Registry(parse(done.reference))
        layers = [item["digest"] for item in manifest["layers"]]
        bill, origin = (
            piece["digest"] for kind in (sbom.MEDIA_TYPE, provenance.MEDIA_TYPE) for piece in _said(registry, kind)
        )
        signature = _under(registry, done.artifact["digest"], "sig")
        judge = ("verify-image", done.reference, "--require", "sbom,provenance,signature", "--key", str(keys.public))
        assert _judged(pack, *judge) == 0
        for digest in (*layers, bill, origin, *signature):
            shelf.spoil(digest)
            assert _judged(pack, *judge) == 1, digest
            shelf.spoil(digest)
        assert _judged(pack, *judge) == 0


def _said(registry: Registry, kind: str) -> list[dict[str, str]]:
    """The documents of one kind about the registry's image, which its fallback tag lists."""
    subject = Subject(str(registry.reference.digest), MANIFEST, 0)
    found = [entry for entry in tagged(registry, subject.fallback) if entry.get("artifactType") == kind]
    assert len(found) == 1
    manifest = registry.manifest(str(found[0]["digest"]))
    assert manifest is not None
    layers: list[dict[str, str]] = manifest.document["layers"]
    return layers


def _under(registry: Registry, digest: str, name: str) -> list[str]:
    """What is under one of cosign's tags."""
    found = registry.manifest(Subject(digest, MANIFEST, 0).tagged(name))
    assert found is not None
    return [piece["digest"] for piece in found.document["layers"]]


def test_a_layout_is_read_back_as_it_was_written(pack: Pack, mirror: str) -> None:
    done = push(pack, f"{mirror}/team/read")
    found = read_layout(Path(done.document["folder"]) / "image", environ=pack.environ)
    (one,) = found.images
    assert found.digest == one.digest == done.artifact["digest"]
    assert done.said["tag"].endswith(f":{found.tag}")
    assert [layer.name for layer in one.layers] == ["dependencies", "runtime", "code"]
    there = Registry(parse(done.reference)).manifest(one.digest)
    assert there is not None
    assert there.data == one.manifest
    assert str(one.base.reference).startswith(f"docker.io/library/python:{MINOR}-slim@sha256:")
    assert one.base.source.registry == mirror


def _judged(pack: Pack, *arguments: str) -> int:
    command = [sys.executable, "-c", "from mcp_packager.cli.main import main; main()", *arguments]
    return subprocess.run(command, env={**os.environ, **pack.environ}, check=False, capture_output=True).returncode

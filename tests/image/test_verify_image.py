"""An image that holds, and every way in which one may not."""

from __future__ import annotations

import json
import os
import platform as machine
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_packager.cli.main import run
from mcp_packager.errors import UsageError, UserError, WorldError
from mcp_packager.image import (
    Reference,
    Registry,
    Settings,
    architecture_of,
    attach,
    base,
    image,
    layers,
    parse,
    push,
    signer,
)
from mcp_packager.image import ingredients as made_of
from mcp_packager.image.documents import digest_of_bytes
from mcp_packager.image.judging import Held
from mcp_packager.image.registry import MANIFEST, Blob
from mcp_packager.image.verifying import Requirement
from mcp_packager.pipeline.prepare import bundles, prepare
from mcp_packager.pipeline.project import open_project
from mcp_packager.pipeline.requests import Request
from mcp_packager.pipeline.standing import pinned
from mcp_packager.progress import Silent
from mcp_packager.store import Store
from tests import real_parts
from tests.image.attached import COMMIT, ingredients, pair, pushed
from tests.image.bundles import push_base
from tests.image.referring import KINDS, either
from tests.image.shelf import EVERY, Shelf, failures, results

pytestmark = [pytest.mark.real("docker-registry"), pytest.mark.usefixtures("alone")]


def test_what_was_pushed_and_signed_holds(shelf: Shelf, store: Store) -> None:
    (one,), target = shelf.signed("good", store)
    found = shelf.look(target, *EVERY)
    assert found.holds
    assert found.digest == one.digest
    assert results(found) == {"linux/amd64": "holds", "sbom": "holds", "provenance": "holds", "signature": "holds"}
    said = {item.about: item.said for item in found.findings}
    assert "the 2 distributions in the layers" in said["sbom"]
    assert COMMIT in said["provenance"]
    assert "4 layers" in said["linux/amd64"]
    assert shelf.look(target.at(one.digest), *EVERY).holds


def test_an_index_holds_with_every_image_in_it(shelf: Shelf, store: Store) -> None:
    images, target = shelf.signed("index", store, "amd64", "arm64")
    found = shelf.look(target, *EVERY)
    assert found.holds
    assert results(found).keys() == {"index", "linux/amd64", "linux/arm64", "sbom", "provenance", "signature"}
    for one in images:
        assert shelf.look(target.at(one.digest), *EVERY).holds
    shelf.spoil(images[1].layers[-1].digest)
    assert failures(shelf.look(target)).keys() == {"linux/amd64", "linux/arm64"}  # the code is the same in both
    shelf.spoil(images[1].layers[-1].digest)
    shelf.spoil(images[1].config_digest)
    assert failures(shelf.look(target)).keys() == {"linux/arm64"}
    shelf.spoil(images[1].digest)
    assert "another one" in failures(shelf.look(target))["linux/arm64"]


def test_without_a_key_what_can_be_seen_is_said(shelf: Shelf, store: Store) -> None:
    (_,), target = shelf.signed("keyless", store)
    found = shelf.look(target, Requirement.SBOM, Requirement.PROVENANCE, key=False)
    assert found.holds
    assert results(found)["signature"] == "absent"
    assert all("nobody vouches" in item.said for item in found.findings if item.about in {"sbom", "provenance"})
    with pytest.raises(UsageError, match="without a key"):
        shelf.look(target, Requirement.SIGNATURE, key=False)


@pytest.mark.parametrize("which", range(4))
def test_a_layer_that_was_changed(shelf: Shelf, store: Store, which: int) -> None:
    (one,), target = shelf.signed(f"layer{which}", store)
    digest = one.every_layer[which].digest
    shelf.spoil(digest)
    try:
        for key in (True, False):
            found = shelf.look(target, key=key)
            assert not found.holds
            assert f"layer {which + 1} of 4, {digest}, is another one" in failures(found)["linux/amd64"]
    finally:
        shelf.spoil(digest)  # a base's layers are other tests' too


def test_a_layer_that_is_gone(shelf: Shelf, store: Store) -> None:
    (one,), target = shelf.signed("gone", store)
    shelf.file(one.layers[-1].digest).unlink()
    assert "is not in the registry" in failures(shelf.look(target))["linux/amd64"]


def test_a_configuration_or_manifest_that_was_changed(shelf: Shelf, store: Store) -> None:
    (one,), target = shelf.signed("config", store)
    shelf.spoil(one.config_digest)
    assert "configuration" in failures(shelf.look(target))["image"]
    shelf.spoil(one.config_digest)
    shelf.spoil(one.digest)
    found = shelf.look(target.at(one.digest))
    assert failures(found) == {"manifest": f"the registry gives something else than {one.digest}"}


def test_another_image_under_the_tag_is_not_signed(shelf: Shelf, store: Store) -> None:
    _, target = shelf.signed("swapped", store)
    (other,), _ = pushed(shelf.address, "team/swapped", store, "arm64")
    found = shelf.look(target)
    assert found.digest == other.digest
    assert failures(found) == {"signature": "there is none, and is required"}
    assert shelf.look(target, key=False).holds


def test_a_manifest_with_a_layer_more_than_its_configuration(shelf: Shelf, store: Store) -> None:
    (one,), target = pushed(shelf.address, "team/more", store)
    document = json.loads(one.manifest)
    document["layers"].append(document["layers"][0])
    Registry(target).put_manifest(json.dumps(document).encode(), MANIFEST, "1")
    said = [item.said for item in shelf.look(target, key=False).findings if item.held is Held.FAILS]
    assert any("the configuration names 4" in line for line in said)


def test_a_layer_that_is_no_archive(shelf: Shelf, store: Store) -> None:
    (one,), target = pushed(shelf.address, "team/noise", store)
    document = json.loads(one.manifest)
    for data in (b"no gzip", b"\x1f\x8b" + bytes(20)):
        Registry(target).put_blob(Blob(digest_of_bytes(data), len(data), data))
        layers = [
            *document["layers"][:-1],
            {**document["layers"][-1], "digest": digest_of_bytes(data), "size": len(data)},
        ]
        Registry(target).put_manifest(json.dumps({**document, "layers": layers}).encode(), MANIFEST, "1")
        assert "is not the archive" in failures(shelf.look(target, key=False))["linux/amd64"]


def test_anybodys_image_can_be_looked_at(shelf: Shelf) -> None:
    name = parse(f"{shelf.address}/theirs/plain:1")
    push_base(Registry(name), "1", ("amd64", "arm64"))
    found = shelf.look(name, key=False)
    assert found.holds
    assert results(found)["sbom"] == results(found)["provenance"] == "absent"
    assert failures(shelf.look(name, Requirement.SBOM, Requirement.PROVENANCE, key=False)).keys() == {
        "sbom",
        "provenance",
    }


def test_what_is_no_image(shelf: Shelf) -> None:
    with pytest.raises(UserError, match="there is no image"):
        shelf.look(parse(f"{shelf.address}/none:1"))
    with pytest.raises(WorldError, match="cannot be reached"):
        shelf.look(parse("127.0.0.1:1/none:1"))


@pytest.mark.real("referrers-registry")
@pytest.mark.parametrize("kind", KINDS)
def test_the_command(kind: str, shelf: Shelf, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with either(kind, tmp_path / "registry") as address:
        (one,), target = Shelf(address, tmp_path, shelf.keys).signed("command", store)
        words = ["verify-image", str(target), "--key", str(shelf.keys.public)]
        assert run([*words, "--require", "sbom,provenance", "--require", "signature"]) == 0
        out = capsys.readouterr().out
        assert out.startswith(f"{target} is {one.digest}\n")
        assert [line.split()[:2] for line in out.splitlines()[2:]] == [
            ["holds", "linux/amd64"],
            ["holds", "sbom"],
            ["holds", "provenance"],
            ["holds", "signature"],
        ]
        assert run([*words, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["holds"] is True
        assert document["findings"][0]["about"] == "linux/amd64"
        stranger = pair(tmp_path)
        assert run(["verify-image", str(target), "--key", str(stranger.public), "--json"]) == 1
        captured = capsys.readouterr()
        assert json.loads(captured.out)["holds"] is False
        assert "do not run it" in captured.err
        assert run(["verify-image", str(target), "--require", "luck"]) == 2
        assert run(["verify-image", str(target), "--key", str(tmp_path / "none")]) == 1
    capsys.readouterr()
    if kind == "tags":
        assert run(["verify-image", str(target)]) == 3


def cosign(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [real_parts.PARTS["cosign"](), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "COSIGN_PASSWORD": "for the key"},
    )


@pytest.mark.real("cosign", "referrers-registry")
@pytest.mark.parametrize(("kind", "algorithm"), [("lists", "ecdsa"), ("tags", "ed25519")])
def test_cosign_judges_alike(kind: str, algorithm: str, store: Store, tmp_path: Path) -> None:
    keys, stranger = pair(tmp_path, algorithm), pair(tmp_path, "ecdsa" if algorithm == "ed25519" else "ed25519")
    with either(kind, tmp_path / "registry") as address:
        (one,), target = Shelf(address, tmp_path, keys).signed("cosign", store)
        name = str(Reference(target.registry, target.repository, None, one.digest))
        offline = ["--insecure-ignore-tlog=true", "--allow-http-registry=true"]
        ours = ["--key", str(keys.public), *offline, name]
        for form in ("true", "false"):  # bundles, and the tags of earlier versions
            chosen = f"--new-bundle-format={form}"
            done = cosign("verify", chosen, *ours)
            assert done.returncode == 0, done.stderr
            assert one.digest.removeprefix("sha256:") in done.stdout
            for predicate in ("cyclonedx", "slsaprovenance1"):
                done = cosign("verify-attestation", chosen, "--type", predicate, *ours)
                assert done.returncode == 0, done.stderr
            assert cosign("verify", chosen, "--key", str(stranger.public), *offline, name).returncode != 0
        assert cosign("verify-attestation", "--type", "spdx", *ours).returncode != 0


@pytest.mark.real("cosign", "referrers-registry")
@pytest.mark.parametrize(("kind", "form"), [("lists", "true"), ("tags", "false")])
def test_what_cosign_signed_holds_here(kind: str, form: str, store: Store, tmp_path: Path) -> None:
    keys = pair(tmp_path)
    imported = str(tmp_path / "imported")
    assert cosign("import-key-pair", "--key", str(keys.private), "--output-key-prefix", imported).returncode == 0
    with either(kind, tmp_path / "registry") as address:
        (one,), target = pushed(address, "team/theirs", store)
        shelf = Shelf(address, tmp_path, keys)
        assert failures(shelf.look(target)).keys() == {"signature"}
        done = cosign(
            *("sign", "--yes", "--key", f"{imported}.key", "--tlog-upload=false", "--use-signing-config=false"),
            *(f"--new-bundle-format={form}", "--allow-http-registry=true"),
            str(Reference(target.registry, target.repository, None, one.digest)),
        )
        assert done.returncode == 0, done.stderr
        assert shelf.look(target).holds
        # What is attached then leaves it alone.
        attach([one], target, ingredients(), key=signer(str(pair(tmp_path, "ed25519").private)), store=store)
        assert results(shelf.look(target))["signature"] == "holds"


def test_a_real_tool_with_real_wheels(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the lock names and what installing leaves in the layers are the same distributions, by the same names."""
    monkeypatch.setenv("MCP_PACK_REGISTRY_MIRROR", address)
    minor = "{}.{}".format(*sys.version_info)
    push_base(Registry(parse(f"{address}/library/python:{minor}-slim")), f"{minor}-slim", (architecture(),))
    (tmp_path / "mcp-tool.toml").write_text(
        '[tool]\nname = "words"\nentrypoint = "words"\ndependencies = ["attrs"]\n[target.docker]\n'
    )
    (tmp_path / "words.py").write_text(
        'from mcp_tool import tool\n\n@tool\ndef f() -> int:\n    """Give one."""\n    return 1\n'
    )
    project = open_project(Request(tmp_path))
    (aim,) = project.aims
    prepared = prepare(project.manifest, project.aims, locked=False, progress=Silent())
    inside = bundles(prepared, aim, progress=Silent())
    ((platform, one),) = inside.items()
    stands_on = base(parse(pinned(prepared.lock, f"python:{minor}-slim") or ""), architecture())
    made = image(stands_on, layers(one), Settings("words", "0.1.0", python=platform.python))
    target = parse(f"{address}/team/words:1")
    push([made], target)
    attach([made], target, made_of(project.manifest, prepared.lock, inside))
    assert run(["verify-image", str(target), "--require", "sbom,provenance", "--json"]) == 0
    findings = {item["about"]: item["said"] for item in json.loads(capsys.readouterr().out)["findings"]}
    count = int(findings["sbom"].partition("the ")[2].split()[0])
    assert count == len(prepared.lock.platforms[platform]) + 1
    assert count > 10


def architecture() -> str:
    return architecture_of(f"{machine.machine()}-manylinux_2_28")

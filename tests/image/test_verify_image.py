"""An image that holds, and every way in which one may not."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.cli.main import run
from mcp_packager.errors import UsageError, UserError, WorldError
from mcp_packager.image import Image, Reference, Registry, attach, parse, referrers, sbom, signer, verify
from mcp_packager.image.documents import digest_of_bytes
from mcp_packager.image.ingredients import Source
from mcp_packager.image.judging import Held
from mcp_packager.image.provenance import statement
from mcp_packager.image.referrers import Piece, Subject, artifact, enter
from mcp_packager.image.registry import INDEX, MANIFEST, Blob
from mcp_packager.image.signing import public_key
from mcp_packager.image.verifying import Requirement, Verified
from mcp_packager.store import Store
from tests import real_parts
from tests.image.attached import COMMIT, Keys, ingredients, pair, pushed
from tests.image.bundles import push_base
from tests.image.referring import KINDS, either
from tests.image.registries import registry

pytestmark = [pytest.mark.real("docker-registry"), pytest.mark.usefixtures("alone")]
EVERY = frozenset(Requirement)


@dataclass(frozen=True)
class Shelf:
    """A registry whose files a test may spoil, and the keys of those who sign."""

    address: str
    folder: Path
    keys: Keys

    def file(self, digest: str) -> Path:
        (found,) = (self.folder / "data").rglob(f"blobs/sha256/*/{digest[7:]}/data")
        return found

    def spoil(self, digest: str) -> None:
        """Other bytes of the same length under a digest: what a broken disk or a bad operator leaves."""
        file = self.file(digest)
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)

    def signed(self, name: str, store: Store, *architectures: str) -> tuple[list[Image], Reference]:
        images, target = pushed(self.address, f"team/{name}", store, *architectures)
        made = ingredients(*architectures, source=Source(COMMIT))
        attach(images, target, made, key=signer(str(self.keys.private)), store=store)
        return images, target

    def look(self, target: Reference, *require: Requirement, key: bool = True) -> Verified:
        keys = [public_key(str(self.keys.public))] if key else []
        return verify(target, keys=keys, require=frozenset(require))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("shelf")
    with registry(folder) as address:
        yield Shelf(address, folder, pair(folder))


def results(found: Verified) -> dict[str, str]:
    return {item.about: item.held.value for item in found.findings}


def failures(found: Verified) -> dict[str, str]:
    return {item.about: item.said for item in found.findings if item.held is Held.FAILS}


def pieces(target: Reference, subject: Image, name: str) -> list[Mapping[str, Any]]:
    """The layers under one of cosign's tags."""
    found = Registry(target).manifest(_subject(subject).tagged(name))
    assert found is not None
    layers: list[Mapping[str, Any]] = found.document["layers"]
    return layers


def _subject(one: Image) -> Subject:
    return Subject(one.digest, MANIFEST, len(one.manifest))


def put_bill(target: Reference, one: Image, document: Mapping[str, Any]) -> None:
    """Another bill in place of the one that is there: the way of somebody who may push."""
    data = json.dumps(document).encode()
    target_registry, subject = Registry(target), _subject(one)
    made = artifact(sbom.MEDIA_TYPE, subject, [Piece(sbom.MEDIA_TYPE, data)])
    referrers.put(target_registry, [made])
    kept = [
        entry
        for entry in referrers.tagged(target_registry, subject.fallback)
        if entry["artifactType"] != sbom.MEDIA_TYPE
    ]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*kept, made.descriptor]}
    target_registry.put_manifest(json.dumps(index).encode(), INDEX, subject.fallback)


def bill_of(one: Image) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sbom.sbom(one.digest, [one], ingredients(source=Source(COMMIT))))
    return found


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


def test_a_bill_that_was_changed(shelf: Shelf, store: Store) -> None:
    (one,), target = shelf.signed("bill", store)
    bill = sbom.sbom(one.digest, [one], ingredients(source=Source(COMMIT)))
    shelf.spoil(digest_of_bytes(bill))
    for key in (True, False):
        assert "is another one in the registry" in failures(shelf.look(target, key=key))["sbom"]


def test_a_bill_that_was_replaced(shelf: Shelf, store: Store) -> None:
    (one,), target = shelf.signed("replaced", store)
    document = bill_of(one)
    document["components"][1]["hashes"][0]["content"] = "0" * 64
    put_bill(target, one, document)
    assert failures(shelf.look(target)) == {"sbom": "what is there is not what the key signed"}
    # Nobody but the key can tell a false hash; what is in the layers anybody can.
    document["components"][1]["version"] = "27.0.0"
    put_bill(target, one, document)
    assert "leaves out what is in the layers: attrs 26.1.0" in failures(shelf.look(target, key=False))["sbom"]


def test_a_bill_that_lists_too_much_or_is_of_another_image(shelf: Shelf, store: Store) -> None:
    (one,), target = pushed(shelf.address, "team/too-much", store)
    attach([one], target, ingredients(), store=store)
    document = bill_of(one)
    document["components"].append({**document["components"][1], "name": "never-there", "bom-ref": "x"})
    put_bill(target, one, document)
    assert "lists what is not in the layers: never-there" in failures(shelf.look(target, key=False))["sbom"]
    document = bill_of(one)
    document["metadata"]["component"]["properties"][0]["value"] = "sha256:" + "0" * 64
    put_bill(target, one, document)
    assert failures(shelf.look(target, key=False))["sbom"] == "it is the bill of another image"
    put_bill(target, one, {**bill_of(one), "metadata": None})
    assert "is not the document" in failures(shelf.look(target, key=False))["sbom"]


def test_anothers_bill_is_not_judged(shelf: Shelf, store: Store) -> None:
    (one,), target = pushed(shelf.address, "team/theirs", store)
    put_bill(target, one, {"bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": "urn:uuid:other"})
    found = shelf.look(target, key=False)
    assert found.holds
    assert results(found)["sbom"] == "absent"
    assert failures(shelf.look(target, Requirement.SBOM, key=False)).keys() == {"sbom"}


def test_an_attestation_that_was_changed(shelf: Shelf, store: Store) -> None:
    (one,), target = shelf.signed("envelope", store)
    for layer in pieces(target, one, "att"):
        shelf.spoil(layer["digest"])
    found = failures(shelf.look(target))
    assert {"attestation", "sbom", "provenance"} <= found.keys()


def test_envelopes_of_strangers_do_not_count(shelf: Shelf, store: Store, tmp_path: Path) -> None:
    (one,), target = pushed(shelf.address, "team/stranger", store)
    attach([one], target, ingredients(), key=signer(str(pair(tmp_path).private)), store=store)
    found = failures(shelf.look(target))
    assert found == {
        "sbom": "there is one, and the key did not sign it",
        "provenance": "there is one, and the key did not sign it",
        "signature": "none of the 1 there is by the key",
    }


def test_one_of_several_keys_is_enough(shelf: Shelf, store: Store, tmp_path: Path) -> None:
    _, target = shelf.signed("several", store)
    keys = [public_key(str(pair(tmp_path, "ed25519").public)), public_key(str(shelf.keys.public))]
    assert verify(target, keys=keys, require=EVERY).holds


def test_a_signature_that_was_changed(shelf: Shelf, store: Store) -> None:
    (one,), target = shelf.signed("signature", store)
    (layer,) = pieces(target, one, "sig")
    shelf.spoil(layer["digest"])
    assert failures(shelf.look(target)).keys() == {"signature"}
    shelf.spoil(layer["digest"])
    assert shelf.look(target).holds
    found = Registry(target).manifest(_subject(one).tagged("sig"))
    assert found is not None
    text = layer["annotations"]["dev.cosignproject.cosign/signature"]
    changed = found.data.replace(text.encode(), (text[:20] + ("A" if text[20] != "A" else "B") + text[21:]).encode())
    Registry(target).put_manifest(changed, MANIFEST, _subject(one).tagged("sig"))
    (shelf.file(found.digest)).write_bytes(changed)  # and the one that the list of referrers names
    assert "signature" in failures(shelf.look(target))


def test_a_signature_of_another_image(shelf: Shelf, store: Store) -> None:
    (one,), target = shelf.signed("lent", store)
    (other,), _ = pushed(shelf.address, "team/lent", store, "arm64")
    layers = pieces(target, one, "sig")
    made = artifact("x", _subject(other), [], tag=_subject(other).tagged("sig"), others=layers)
    referrers.put(Registry(target), [made])
    assert failures(shelf.look(target))["signature"] == f"by the key, of another image: {one.digest}"


def test_a_signature_that_was_taken_away(shelf: Shelf, store: Store) -> None:
    (one,), target = shelf.signed("taken", store)
    empty = artifact("x", _subject(one), [], tag=_subject(one).tagged("sig"))
    referrers.put(Registry(target), [empty])
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
    Registry(target).put_manifest(index, INDEX, _subject(one).fallback)
    assert failures(shelf.look(target)) == {"signature": "there is none, and is required"}


def test_a_provenance_of_another_base(shelf: Shelf, store: Store) -> None:
    (one,), target = pushed(shelf.address, "team/base", store)
    attach([one], target, ingredients(), store=store)
    from mcp_packager.image import provenance

    predicate = provenance.provenance([one], ingredients())
    dependencies = predicate["buildDefinition"]["resolvedDependencies"]
    said = {
        "another base image": [{**dependencies[0], "digest": {"sha256": "0" * 64}}, *dependencies[1:]],
        "everything that the bill lists": dependencies[:1],
        "is not the document": [*dependencies, None],
    }
    for words, changed in said.items():
        wrong = {**predicate, "buildDefinition": {**predicate["buildDefinition"], "resolvedDependencies": changed}}
        data = statement("team/base", one.digest, provenance.PREDICATE_TYPE, wrong)
        made = artifact(provenance.MEDIA_TYPE, _subject(one), [Piece(provenance.MEDIA_TYPE, data)])
        referrers.put(Registry(target), [made])
        enter(Registry(target), _subject(one), [made])
        assert words in failures(shelf.look(target, key=False))["provenance"]
        before = referrers.tagged(Registry(target), _subject(one).fallback)[:-1]
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": before}).encode()
        Registry(target).put_manifest(index, INDEX, _subject(one).fallback)


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
        [real_parts.PARTS["cosign"](), *words], capture_output=True, text=True, check=False, timeout=60
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
        done = cosign("verify", *ours)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)[0]["critical"]["image"]["docker-manifest-digest"] == one.digest
        for predicate in ("cyclonedx", "slsaprovenance1"):
            done = cosign("verify-attestation", "--type", predicate, *ours)
            assert done.returncode == 0, done.stderr
        assert cosign("verify", "--key", str(stranger.public), *offline, name).returncode != 0
        assert cosign("verify-attestation", "--type", "spdx", *ours).returncode != 0

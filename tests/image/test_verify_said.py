"""What is said about an image, and every way in which it may be false."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.image import Image, Reference, Registry, attach, provenance, referrers, sbom, signer
from mcp_packager.image.attaching import SIGNATURE
from mcp_packager.image.documents import digest_of_bytes
from mcp_packager.image.ingredients import Source
from mcp_packager.image.provenance import statement
from mcp_packager.image.referrers import Piece, artifact
from mcp_packager.image.registry import INDEX
from mcp_packager.image.signing import BUNDLE, public_key
from mcp_packager.image.verifying import Requirement, verify
from mcp_packager.store import Store
from tests.image.attached import COMMIT, enter, ingredients, pair, pushed, put
from tests.image.shelf import EVERY, Shelf, failures, pieces, results, subject_of

pytestmark = [pytest.mark.real("docker-registry"), pytest.mark.usefixtures("alone")]


def put_bill(target: Reference, one: Image, document: Mapping[str, Any]) -> None:
    """Another bill in place of the one that is there: the way of somebody who may push."""
    data = json.dumps(document).encode()
    target_registry, subject = Registry(target), subject_of(one)
    made = artifact(sbom.MEDIA_TYPE, subject, [Piece(sbom.MEDIA_TYPE, data)])
    put(target_registry, made)
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


def unlist(target: Reference, one: Image) -> None:
    """Take from the list of referrers what is signed; cosign's tags stay."""
    plain = {sbom.MEDIA_TYPE, provenance.MEDIA_TYPE}
    entries = referrers.tagged(Registry(target), subject_of(one).fallback)
    kept = [entry for entry in entries if entry["artifactType"] in plain]
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": kept}).encode()
    Registry(target).put_manifest(index, INDEX, subject_of(one).fallback)


def bundles(target: Reference, one: Image) -> list[str]:
    """The digests of the bundles of an image."""
    registry = Registry(target)
    entries = referrers.tagged(registry, subject_of(one).fallback)
    found = [registry.manifest(entry["digest"]) for entry in entries if entry["artifactType"] == BUNDLE]
    return [item.document["layers"][0]["digest"] for item in found if item is not None]


def test_an_attestation_that_was_changed(shelf: Shelf, store: Store) -> None:
    (one,), target = shelf.signed("envelope", store)
    for digest in bundles(target, one):
        shelf.spoil(digest)
    assert failures(shelf.look(target)).keys() == {"bundle"}
    unlist(target, one)
    assert shelf.look(target, *EVERY).holds  # by cosign's tags
    for layer in pieces(target, one, "att"):
        shelf.spoil(layer["digest"])
    assert failures(shelf.look(target)).keys() == {"attestation", "sbom", "provenance"}


def test_bundles_are_enough(shelf: Shelf, store: Store) -> None:
    (one,), target = shelf.signed("bundles", store)
    for name in ("sig", "att"):
        put(Registry(target), artifact("x", subject_of(one), [], tag=subject_of(one).tagged(name)))
    entries = referrers.tagged(Registry(target), subject_of(one).fallback)
    kept = [entry for entry in entries if "cosign" not in entry["artifactType"]]
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": kept}).encode()
    Registry(target).put_manifest(index, INDEX, subject_of(one).fallback)
    assert shelf.look(target, *EVERY).holds


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
    text = layer["annotations"][SIGNATURE]
    forged = {**layer, "annotations": {SIGNATURE: text[:20] + ("A" if text[20] != "A" else "B") + text[21:]}}
    unlist(target, one)
    put(Registry(target), artifact("x", subject_of(one), [], tag=subject_of(one).tagged("sig"), others=[forged]))
    assert failures(shelf.look(target)) == {"signature": "none of the 1 there is by the key"}


def test_a_signature_of_another_image(shelf: Shelf, store: Store) -> None:
    (one,), target = shelf.signed("lent", store)
    (other,), _ = pushed(shelf.address, "team/lent", store, "arm64")
    layers = pieces(target, one, "sig")
    made = artifact("x", subject_of(other), [], tag=subject_of(other).tagged("sig"), others=layers)
    put(Registry(target), made)
    assert failures(shelf.look(target))["signature"] == f"by the key, of another image: {one.digest}"


def test_a_signature_that_was_taken_away(shelf: Shelf, store: Store) -> None:
    (one,), target = shelf.signed("taken", store)
    empty = artifact("x", subject_of(one), [], tag=subject_of(one).tagged("sig"))
    put(Registry(target), empty)
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
    Registry(target).put_manifest(index, INDEX, subject_of(one).fallback)
    assert failures(shelf.look(target)) == {"signature": "there is none, and is required"}


def test_a_provenance_of_another_base(shelf: Shelf, store: Store) -> None:
    (one,), target = pushed(shelf.address, "team/base", store)
    attach([one], target, ingredients(), store=store)
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
        made = artifact(provenance.MEDIA_TYPE, subject_of(one), [Piece(provenance.MEDIA_TYPE, data)])
        put(Registry(target), made)
        enter(Registry(target), subject_of(one), made)
        assert words in failures(shelf.look(target, key=False))["provenance"]
        before = referrers.tagged(Registry(target), subject_of(one).fallback)[:-1]
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": before}).encode()
        Registry(target).put_manifest(index, INDEX, subject_of(one).fallback)

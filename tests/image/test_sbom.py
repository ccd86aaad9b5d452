"""The bill of an image: valid by others' schema, the same every time, and about the right things."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from mcp_packager.image import digest_of, parse
from mcp_packager.image.documents import digest_of_bytes, index
from mcp_packager.image.sbom import sbom
from mcp_packager.store import Store
from tests.image.attached import images, ingredients

pytestmark = [pytest.mark.real("docker-registry"), pytest.mark.usefixtures("alone")]


def complaints(bill: bytes) -> object:
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.decode())


def test_it_is_valid_and_says_what_is_inside(address: str, store: Store) -> None:
    (one,) = images(address, store)
    bill = sbom(one.digest, [one], ingredients())
    assert complaints(bill) is None
    document = json.loads(bill)
    root = document["metadata"]["component"]
    assert (root["name"], root["version"]) == ("word-tools", "1.0.0")
    assert {"name": "mcp-pack:image", "value": one.digest} in root["properties"]
    base, attrs, runtime = document["components"]
    meant = digest_of(parse(f"{address}/library/python:3.13-slim"))
    assert base["hashes"] == [{"alg": "SHA-256", "content": meant.removeprefix("sha256:")}]
    assert base["purl"].startswith(f"pkg:oci/python@sha256%3A{meant[7:]}?arch=amd64&")
    assert (attrs["purl"], attrs["hashes"][0]["content"]) == ("pkg:pypi/attrs@26.1.0", "1" * 64)
    assert runtime["purl"] == "pkg:pypi/mcp-tool-runtime@0.1.0"
    assert document["dependencies"][0]["dependsOn"] == sorted(item["bom-ref"] for item in document["components"])


def test_an_index_has_the_wheels_of_every_machine(address: str, store: Store) -> None:
    both = images(address, store, "amd64", "arm64")
    bill = sbom(digest_of_bytes(index(both)), both, ingredients("amd64", "arm64"))
    assert complaints(bill) is None
    names = [(item["name"], item.get("properties", [{}])[0].get("value")) for item in json.loads(bill)["components"]]
    assert names.count(("mcp-tool-runtime", "mcp_tool_runtime-0.1.0-py3-none-any.whl")) == 1
    assert [file for name, file in names if name == "attrs"] == [
        "attrs-26.1.0-cp313-cp313-amd64.whl",
        "attrs-26.1.0-cp313-cp313-arm64.whl",
    ]


def test_the_same_image_has_the_same_bill(address: str, store: Store, tmp_path: Path) -> None:
    (one,), (again,) = images(address, store), images(address, Store(tmp_path / "other"))
    assert sbom(one.digest, [one], ingredients()) == sbom(again.digest, [again], ingredients())
    assert sbom("sha256:" + "0" * 64, [one], ingredients()) != sbom(one.digest, [one], ingredients())


def test_the_validator_of_this_test_sees_a_fault(address: str, store: Store) -> None:
    (one,) = images(address, store)
    bill = json.loads(sbom(one.digest, [one], ingredients()))
    bill["components"][0]["type"] = "no such type"
    assert complaints(json.dumps(bill).encode()) is not None

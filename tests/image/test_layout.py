"""A layout is images again, from its files alone, and says so where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcp_packager.errors import UserError
from mcp_packager.image import Image, Ingredients, held, parse, push, read_layout, ship, write_layout
from mcp_packager.image.ingredients import Source
from mcp_packager.store import Store
from tests.image.attached import COMMIT, images, ingredients
from tests.image.registries import proxy

pytestmark = [pytest.mark.real("docker-registry"), pytest.mark.usefixtures("alone")]


def written(address: str, store: Store, folder: Path, *architectures: str) -> list[Image]:
    """An artifact's folder with images of these architectures, and what they were made of."""
    found = images(address, store, *architectures)
    write_layout(found, folder / "image", "1.0.0-test", store=store)
    said = ingredients(*architectures, source=Source(COMMIT)).as_json()
    (folder / "assembled.json").write_text(json.dumps({"schema": 1, "tag": "1.0.0-test", "ingredients": said}))
    return found


def blob(folder: Path, digest: str) -> Path:
    return folder / "image" / "blobs" / "sha256" / digest[7:]


@pytest.mark.parametrize("architectures", [("amd64",), ("amd64", "arm64")])
def test_is_read_as_it_was_written(address: str, store: Store, tmp_path: Path, architectures: tuple[str, ...]) -> None:
    made = written(address, store, tmp_path, *architectures)
    found = read_layout(tmp_path / "image")
    assert found.tag == "1.0.0-test"
    assert [(one.architecture, one.manifest, one.config) for one in found.images] == [
        (one.architecture, one.manifest, one.config) for one in made
    ]
    for ours, theirs in zip(found.images, made, strict=True):
        assert [(one.name, one.digest, one.diff_id, one.size) for one in ours.layers] == [
            (one.name, one.digest, one.diff_id, one.size) for one in theirs.layers
        ]
        assert ours.base.reference == theirs.base.reference
        assert len(ours.base.layers) == len(theirs.base.layers)


def test_what_is_damaged_is_not_taken(address: str, store: Store, tmp_path: Path) -> None:
    (one,) = written(address, store, tmp_path)
    for digest in (one.digest, one.config_digest):
        whole = blob(tmp_path, digest).read_bytes()
        blob(tmp_path, digest).write_bytes(whole[:-1] + b" ")
        with pytest.raises(UserError, match="is another one"):
            read_layout(tmp_path / "image")
        blob(tmp_path, digest).write_bytes(whole)
    blob(tmp_path, one.layers[-1].digest).unlink()
    with pytest.raises(UserError, match="is missing"):
        read_layout(tmp_path / "image")
    with pytest.raises(UserError, match="cannot be read"):
        read_layout(tmp_path / "nothing")


def test_is_shipped_with_what_is_said_about_it(address: str, store: Store, tmp_path: Path) -> None:
    made = written(address, store, tmp_path, "amd64", "arm64")
    done = ship(tmp_path, f"{address}/team/shipped", store=store)
    assert done.reference.tag == "1.0.0-test"
    assert held(done.reference)
    assert all(held(done.reference.at(one.digest)) for one in made)
    assert done.documents == 6
    assert done.signed is False
    again = ship(tmp_path, f"{address}/team/shipped", store=store)
    assert (again.blobs, again.documents) == (0, 0)
    # Whoever has the folder and nothing else sends nothing that is there either.
    elsewhere = Store(tmp_path / "elsewhere")
    assert ship(tmp_path, f"{address}/team/shipped", store=elsewhere).reference == done.reference


def test_layers_of_the_base_come_from_its_own_registry_where_the_folder_lacks_them(
    address: str, store: Store, tmp_path: Path
) -> None:
    (one,) = written(address, store, tmp_path)
    for layer in one.base.layers:
        blob(tmp_path, layer.digest).unlink()
    done = ship(tmp_path, f"{address}/team/mounted", store=Store(tmp_path / "fresh"))
    assert held(done.reference)
    with proxy(address) as (other, seen):
        found = read_layout(tmp_path / "image").images
        push(found, parse(f"{other}/team/fetched:1"), store=Store(tmp_path / "third"))
        assert seen.count("PUT") > 1
    assert held(f"{address}/team/fetched:1")


def test_ingredients_are_the_same_after_they_were_kept() -> None:
    for made in (ingredients("amd64", "arm64"), ingredients(source=Source(COMMIT, "git+ssh://host/path"))):
        assert Ingredients.from_json(json.loads(json.dumps(made.as_json()))) == made


@pytest.mark.parametrize(("text", "word"), [("{}", "'schema'"), ('{"schema": 9}', "newer"), ("[]", "cannot be read")])
def test_an_unreadable_note_of_the_build_is_said_to_be_one(
    address: str, store: Store, tmp_path: Path, text: str, word: str
) -> None:
    written(address, store, tmp_path)
    (tmp_path / "assembled.json").write_text(text)
    with pytest.raises(UserError, match=word):
        ship(tmp_path, f"{address}/team/unreadable", store=store)
    assert not held(f"{address}/team/unreadable:1.0.0-test")

"""A push to a real registry: what goes up, what does not, and what happens when it breaks in between."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from mcp_packager.errors import UserError, WorldError
from mcp_packager.image import (
    Image,
    Registry,
    Settings,
    base,
    digest_of,
    image,
    index,
    layers,
    parse,
    push,
    write_layout,
)
from mcp_packager.image.layering import ROOT
from mcp_packager.store import Store
from tests import real_parts
from tests.image.bundles import FILES, bundle, push_base
from tests.image.registries import proxy, registry

pytestmark = [pytest.mark.real("docker-registry"), pytest.mark.usefixtures("alone")]

SETTINGS = Settings("sample", "1.2.0", "Counts", python="3.13")


def made(address: str, store: Store, files: dict[str, bytes] | None = None, architecture: str = "amd64") -> Image:
    """An image on a base that is in the same registry."""
    name = parse(f"{address}/bases/python:3.13")
    push_base(Registry(name), "3.13", ("amd64", "arm64"))
    found = base(name.at(digest_of(name)), architecture, store=store)
    return image(found, layers(bundle({**FILES, **(files or {})}), store), SETTINGS)


def skopeo(*arguments: str) -> str:
    done = subprocess.run([real_parts.PARTS["skopeo"](), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.real("skopeo", "umoci")
def test_others_read_what_was_pushed(address: str, store: Store, tmp_path: Path) -> None:
    one = made(address, store)
    pushed = push([one], parse(f"{address}/team/read:1"), store=store)
    told = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{address}/team/read:1"))
    assert told["Digest"] == pushed.reference.digest == one.digest
    assert told["Labels"]["io.modelcontextprotocol.server.name"] == "sample"
    assert told["Labels"]["kept"] == "yes"
    layout = tmp_path / "layout"
    skopeo("copy", "--src-tls-verify=false", f"docker://{address}/team/read:1", f"oci:{layout}:1")
    tree = tmp_path / "tree"
    unpack = [str(real_parts.PARTS["umoci"]()), "unpack", "--image", f"{layout}:1", str(tree)]
    if os.geteuid():
        unpack.insert(2, "--rootless")
    subprocess.run(unpack, check=True, capture_output=True)
    for path, data in FILES.items():
        assert (tree / "rootfs" / ROOT / path).read_bytes() == data
    run = json.loads((tree / "config.json").read_text())["process"]
    assert run["user"]["uid"] == 65532
    assert run["args"][0] == "python3"
    assert run["cwd"] == f"/{ROOT}app"


@pytest.mark.real("skopeo")
def test_a_layout_is_what_a_registry_gives(address: str, store: Store, tmp_path: Path) -> None:
    one = made(address, store)
    write_layout([one], tmp_path / "layout", "1.2.0", store=store)
    assert json.loads(skopeo("inspect", f"oci:{tmp_path / 'layout'}:1.2.0"))["Digest"] == one.digest
    skopeo("copy", "--dest-tls-verify=false", f"oci:{tmp_path / 'layout'}:1.2.0", f"docker://{address}/team/layout:1")
    found = Registry(parse(f"{address}/team/layout")).manifest("1")
    assert found is not None
    assert found.digest == one.digest


def test_nothing_goes_up_twice(address: str, store: Store) -> None:
    with proxy(address) as (front, seen):
        one = made(front, store)
        target = parse(f"{front}/team/again:1")
        first = push([one], target, store=store)
        # The base's layer came from its own repository; three layers and the configuration went up.
        assert first.blobs == 4
        seen.requests.clear()
        assert push([one], target, store=store).blobs == 0
        assert [method for method, _ in seen.requests] == ["GET", "GET"]  # where it is, and that it is the same
        edited = made(front, store, {"app/tool.py": b"print('edited')\n"})
        seen.requests.clear()
        second = push([edited], parse(f"{front}/team/again:2"), store=store)
    assert second.blobs == 2
    assert seen.count("HEAD") == 0
    assert seen.count("PUT") == 3  # the layer, the configuration, the manifest


def test_another_machine_finds_what_is_there(address: str, store: Store, tmp_path: Path) -> None:
    big = {"lib/big": os.urandom(400_000)}
    target = parse(f"{address}/team/found:1")
    push([made(address, store, big)], target, store=store)
    other = Store(tmp_path / "other")
    sent = push([made(address, other, big)], target, store=other)
    assert sent.bytes < 100_000


def test_what_the_registry_forgot_is_sent_again(tmp_path: Path, store: Store) -> None:
    with registry(tmp_path / "registry") as address:
        one = made(address, store)
        target = parse(f"{address}/team/forgot:1")
        push([one], target, store=store)
        for blob in (tmp_path / "registry" / "data").rglob("team/forgot/_layers"):
            subprocess.run(["rm", "-r", str(blob)], check=True)
        edited = made(address, store, {"app/tool.py": b"print('later')\n"})
        push([edited], parse(f"{address}/team/forgot:2"), store=store)
        found = Registry(target).manifest("2")
        assert found is not None
        assert found.digest == edited.digest
        for layer in edited.every_layer:
            assert b"".join(Registry(target).blob(layer.digest))


def test_two_architectures_in_one_index(address: str, store: Store) -> None:
    both = [made(address, store, architecture=name) for name in ("amd64", "arm64")]
    pushed = push(both, parse(f"{address}/team/both:1"), store=store)
    found = Registry(parse(f"{address}/team/both")).manifest("1")
    assert found is not None
    assert found.data == index(both)
    assert pushed.reference.digest == found.digest
    assert [item["platform"]["architecture"] for item in found.document["manifests"]] == ["amd64", "arm64"]
    # Both stand on another base and hold the same layers.
    assert both[0].base.layers != both[1].base.layers
    assert both[0].layers == both[1].layers


def test_a_broken_upload_goes_on_where_it_broke(address: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_packager.image.registry._RESUMED_FROM", 100_000)
    monkeypatch.setattr("mcp_packager.image.registry._STEP", 300_000)
    one = made(address, store, {"lib/big": os.urandom(1_000_000)})
    breaks = {1, 2}
    with proxy(address, lambda method, _, before: -1 if method == "PATCH" and before in breaks else None) as (
        front,
        seen,
    ):
        push([one], parse(f"{front}/team/broken:1"), store=store)
    assert seen.count("PATCH") == 6
    size = one.layers[0].size
    assert size < seen.sent < size + 400_000  # nothing that had arrived went up again
    assert b"".join(Registry(parse(f"{address}/team/broken")).blob(one.layers[0].digest))


@pytest.mark.parametrize("answer", [429, 500, 502, 503, (429, {"Retry-After": "0"})])
def test_what_passes_is_tried_again(address: str, store: Store, answer: int | tuple[int, dict[str, str]]) -> None:
    one = made(address, store)
    with proxy(address, lambda _, path, before: answer if before < 2 and "manifests" in path else None) as (front, _):
        push([one], parse(f"{front}/team/again:{abs(hash(str(answer)))}"), store=store)


def test_what_does_not_pass_is_told(address: str, store: Store) -> None:
    one = made(address, store)
    with (
        proxy(address, lambda method, _, __: 503 if method == "PUT" else None) as (front, seen),
        pytest.raises(WorldError, match="503") as caught,
    ):
        push([one], parse(f"{front}/team/down:1"), store=store)
    assert "TOLD" in str(caught.value.problems[0].found)
    assert seen.count("PUT") <= 5 * 5  # five blobs, five tries each


def test_a_registry_that_is_away() -> None:
    with pytest.raises(WorldError, match="cannot be reached") as caught:
        digest_of(parse("127.0.0.1:1/none"))
    assert "Traceback" not in str(caught.value)
    assert "object at" not in str(caught.value)


def test_a_missing_base_and_one_for_another_machine(address: str, store: Store) -> None:
    with pytest.raises(UserError, match="there is no image"):
        digest_of(parse(f"{address}/none:1"))
    name = parse(f"{address}/bases/arm:1")
    push_base(Registry(name), "1", ("arm64",))
    with pytest.raises(UserError, match="not for linux/amd64") as caught:
        base(name, "amd64", store=store)
    assert caught.value.problems[0].found == "arm64"


def test_a_base_with_another_python_is_refused(address: str, store: Store) -> None:
    name = parse(f"{address}/bases/old:1")
    push_base(Registry(name), "1", ("amd64",), env=("PYTHON_VERSION=3.11.9",))
    found = base(name, "amd64", store=store)
    with pytest.raises(UserError, match=r"Python 3\.11\.9"):
        image(found, layers(bundle(), store), SETTINGS)


def test_a_layer_of_the_base_that_is_another_one_is_refused(tmp_path: Path, store: Store) -> None:
    with registry(tmp_path / "registry") as address:
        one = made(address, store)
        for blob in (tmp_path / "registry" / "data").rglob(f"*/{one.base.layers[0].digest[7:]}/data"):
            blob.write_bytes(b"x" * blob.stat().st_size)
        with pytest.raises(WorldError, match="something else"):
            write_layout([one], tmp_path / "layout", "1", store=store)
    assert not (tmp_path / "layout").exists()
    assert list(tmp_path.glob(".layout*")) == []


def test_the_same_digest_from_another_store(address: str, store: Store, tmp_path: Path) -> None:
    assert made(address, store).digest == made(address, Store(tmp_path / "other")).digest


def test_an_edit_takes_four_turns_at_most(address: str, store: Store) -> None:
    """With every request held up, the number of requests in a row shows in the time: here by counting levels."""
    one = made(address, store)
    push([one], parse(f"{address}/team/turns:1"), store=store)
    edited = made(address, store, {"app/tool.py": b"print('turns')\n"})
    with proxy(address) as (front, seen):
        # What is remembered is remembered for the place it was sent to.
        push([one], parse(f"{front}/team/turns:1"), store=store)
        seen.requests.clear()
        push([edited], parse(f"{front}/team/turns:2"), store=store)
    # Where it is (GET /v2/), then for layer and configuration side by side POST and PUT, then the manifest.
    assert [method for method, _ in seen.requests].count("POST") == 2
    assert len(seen.requests) == 6

"""Layers: what is in them, in which order, and that they are the same wherever they are made."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_packager.image import layers, tar
from mcp_packager.image.layering import ROOT, Layer
from mcp_packager.store import EPOCH, Store
from tests.image.bundles import FILES, bundle

_LETTER = st.characters(codec="utf-8", exclude_characters="/\0")
_NAME = st.text(_LETTER, min_size=1, max_size=120).filter(lambda part: part not in {".", ".."})


def inside(layer: Layer) -> bytes:
    assert layer.path is not None
    return gzip.decompress(layer.path.read_bytes())


def members(layer: Layer) -> dict[str, tuple[int, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(inside(layer))) as archive:
        return {
            item.name: (item.mode, found.read() if (found := archive.extractfile(item)) else b"") for item in archive
        }


def test_in_order_of_change(store: Store) -> None:
    made = layers(bundle(), store)
    assert [layer.name for layer in made] == ["dependencies", "runtime", "code"]
    files = [{name for name, (_, data) in members(layer).items() if data} for layer in made]
    assert files[0] == {f"{ROOT}lib/attr/__init__.py"}
    assert files[1] == {f"{ROOT}lib/mcp_tool/__init__.py", f"{ROOT}lib/mcp_tool_runtime-0.1.0.dist-info/METADATA"}
    assert files[2] == {f"{ROOT}{name}" for name in ("app/tool.py", "contract.json", "tool.json")}


def test_every_folder_is_there_for_all_to_read(store: Store) -> None:
    with tarfile.open(fileobj=io.BytesIO(inside(layers(bundle(), store)[1]))) as archive:
        found = {item.name: item.mode for item in archive if item.isdir()}
    library = f"{ROOT}lib"
    wanted = ["opt", "opt/mcp-tool", library, f"{library}/mcp_tool", f"{library}/mcp_tool_runtime-0.1.0.dist-info"]
    assert found == dict.fromkeys(wanted, 0o755)


def test_hashes_and_sizes_are_of_what_is_there(store: Store) -> None:
    for layer in layers(bundle(), store):
        assert layer.path is not None
        blob = layer.path.read_bytes()
        assert layer.digest == f"sha256:{hashlib.sha256(blob).hexdigest()}"
        assert layer.size == len(blob)
        assert layer.diff_id == f"sha256:{hashlib.sha256(inside(layer)).hexdigest()}"


def test_the_same_from_another_store_and_only_the_changed_one_differs(store: Store, tmp_path: Path) -> None:
    first, second = layers(bundle(), store), layers(bundle(), Store(tmp_path / "other"))
    assert [(one.digest, one.diff_id) for one in first] == [(one.digest, one.diff_id) for one in second]
    edited = layers(bundle({**FILES, "app/tool.py": b"print('hullo')\n"}), store)
    assert [one.digest == other.digest for one, other in zip(first, edited, strict=True)] == [True, True, False]
    widened = layers(bundle(modes={"app/tool.py": 0o755}), store)
    assert widened[2].digest != first[2].digest


def test_one_gzip_member_for_readers_that_stop_after_the_first(store: Store) -> None:
    # Three pieces and one larger than a piece; two of bytes that do not compress.
    big = {f"lib/big/{number}": os.urandom(9_000_000) for number in range(2)} | {"lib/big/rest": b"r" * 20_000_000}
    layer = layers(bundle({**FILES, **big}), store)[0]
    assert layer.path is not None
    reading = zlib.decompressobj(31)
    content = reading.decompress(layer.path.read_bytes())
    assert reading.eof
    assert reading.unused_data == b""
    assert {name.removeprefix(ROOT): data for name, (_, data) in members(layer).items() if data} == {
        name: data for name, data in {**FILES, **big}.items() if name.startswith(("lib/attr", "lib/big"))
    }
    assert hashlib.sha256(content).hexdigest() == layer.diff_id.removeprefix("sha256:")


def test_a_layer_whose_record_was_lost_is_read_again(store: Store) -> None:
    (first, *_) = layers(bundle(), store)
    for record in (store.root / "records").rglob("*.json"):
        record.unlink()
    (second, *_) = layers(bundle(), store)
    assert second == first


@given(
    parts=st.lists(_NAME, min_size=1, max_size=6), data=st.binary(max_size=1100), mode=st.sampled_from([0o644, 0o755])
)
def test_any_path_is_read_back(parts: list[str], data: bytes, mode: int) -> None:
    path = "/".join(parts)
    stream = tar.folder("a") + tar.member(path, mode, data) + tar.END
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        folder, file = archive.getmembers()
        found = archive.extractfile(file)
        assert found is not None
        assert (file.name, file.mode, file.mtime, found.read()) == (path.rstrip("/"), mode, EPOCH, data)
    assert (folder.isdir(), file.uid, file.gid, file.uname) == (True, 0, 0, "")


@pytest.mark.parametrize("length", [99, 100, 101, 155, 156, 255, 256, 257, 300])
def test_paths_around_the_limits_of_the_header(length: int) -> None:
    path = ("d" * 49 + "/") * (length // 50) + "f" * (length % 50 or 1)
    stream = tar.member(path, 0o644, b"x") + tar.END
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        assert archive.getnames() == [path]

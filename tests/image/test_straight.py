"""Layers straight out of wheels: the same as out of the files that the wheels are unpacked to."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from mcp_packager.bundle import Bundle, Entry, Inline, Packed, bytecode, install
from mcp_packager.bundle.entries import make as bundled
from mcp_packager.bundle.listing import lay_out
from mcp_packager.bundle.merge import merged
from mcp_packager.bundle.tree import write_tree
from mcp_packager.errors import UserError
from mcp_packager.image import layers
from mcp_packager.image.layering import ROOT
from mcp_packager.store import Store
from tests.bundle.locks import shelve
from tests.image.bundles import LINUX
from tests.image.test_layers import inside, members
from tests.index import wheelhouse
from tests.lock.made_wheels import make
from tests.lock.projects import here

REAL = ("cryptography-", "httpx-", "pydantic-", "pydantic_core-", "typing_extensions-")
"""Large and small ones, with compiled parts and without; of each the first that the tests have, whatever it is for."""


def _real() -> list[Path]:
    return [next(path for path in wheelhouse.wheels() if path.name.startswith(name)) for name in REAL]


def _odd(folder: Path) -> Path:
    """With everything that an installer moves or writes anew."""
    files: dict[str, str | bytes] = {
        "odd/__init__.py": "x = 1\n",
        "odd/empty.txt": "",
        "odd/very/" + "long/" * 40 + "name.txt": "far",
        "odd/žluť.txt": "utf-8",
        "odd/run.sh": "#!/bin/sh\n",
        "odd-1.0.data/purelib/pure.py": "y = 2\n",
        "odd-1.0.data/scripts/odd": "#!python\nprint('odd')\n",
        "odd-1.0.data/scripts/native": b"\x7fELF",
        "odd-1.0.data/data/share/odd/table.csv": "1,2\n",
        "odd-1.0.data/headers/odd.h": "int x;",
        "odd-1.0.dist-info/entry_points.txt": "[console_scripts]\nodd = odd:main\n",
        "__pycache__/stale.cpython-311.pyc": b"\0",
    }
    return make(folder, "odd", files=files, executable=["odd/run.sh"])


def _bundle(wheels: Sequence[Path], store: Store) -> Bundle:
    interpreter = here()[1]
    listed = install.every([shelve(path, store) for path in wheels], store)
    compiled = bytecode.once(bytecode.of_wheels(listed, interpreter, store))
    return bundled([*merged(listed), *compiled], LINUX, interpreter.version)


def _from_files(bundle: Bundle, tree: Path) -> Bundle:
    """The same bundle out of files that were written down."""
    lay_out(bundle.entries)
    tree.mkdir()
    write_tree(bundle.entries, tree)
    entries = []
    for path in sorted(path for path in tree.rglob("*") if path.is_file()):
        data, mode = path.read_bytes(), 0o755 if path.stat().st_mode & 0o100 else 0o644
        name, digest = path.relative_to(tree).as_posix(), hashlib.sha256(data).hexdigest()
        entries.append(Entry(name, mode, digest, len(data), Inline(data)))
    return bundled(entries, bundle.platform, bundle.interpreter_version)


def test_the_same_layers_as_from_files(tmp_path: Path) -> None:
    straight, files = Store(tmp_path / "straight"), Store(tmp_path / "files")
    bundle = _bundle([*_real(), _odd(tmp_path)], straight)
    made = layers(bundle, straight)
    assert not (straight.root / "unpacked").exists()
    assert {type(entry.source) for entry in bundle.entries if entry.path.endswith((".py", ".pyc", ".so"))} == {Packed}
    other = _from_files(bundle, tmp_path / "tree")
    assert other.hash == bundle.hash
    assert [(one.diff_id, one.digest) for one in layers(other, files)] == [(one.diff_id, one.digest) for one in made]


def test_what_is_in_the_layer_is_what_the_bundle_says(tmp_path: Path, store: Store) -> None:
    bundle = _bundle([*_real()[1:], _odd(tmp_path)], store)
    (layer,) = layers(bundle, store)
    with tarfile.open(fileobj=io.BytesIO(inside(layer))) as archive:
        kinds = {item.name: item.type for item in archive}
    assert set(kinds.values()) == {tarfile.REGTYPE, tarfile.DIRTYPE}
    found = {
        name: (mode, hashlib.sha256(data).hexdigest())
        for name, (mode, data) in members(layer).items()
        if kinds[name] == tarfile.REGTYPE
    }
    assert found == {f"{ROOT}{entry.path}": (entry.mode, entry.sha256) for entry in bundle.entries}
    rows = list(csv.reader(members(layer)[f"{ROOT}lib/odd-1.0.dist-info/RECORD"][1].decode().splitlines()))
    named = {row[0]: row[1] for row in rows}
    assert named["bin/odd"] == _recorded(b"#!/usr/bin/env python3\nprint('odd')\n")
    assert all(f"{ROOT}lib/{name}" in found for name in named)


def _recorded(data: bytes) -> str:
    return f"sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()}"


def test_a_wheel_that_was_damaged_after_it_was_listed_is_a_problem(tmp_path: Path, store: Store) -> None:
    bundle = _bundle([_odd(tmp_path)], store)
    source = next(entry.source for entry in bundle.entries if entry.path == "lib/odd/__init__.py")
    assert isinstance(source, Packed)
    source.archive.chmod(0o644)
    source.archive.write_bytes(source.archive.read_bytes().replace(b"PK\x03\x04", b"PK\x03\x05"))
    with pytest.raises(UserError, match=r"odd-1\.0-py3-none-any\.whl cannot be read"):
        layers(bundle, store)

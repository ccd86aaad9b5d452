"""Wheels laid out as a library folder: as an installer would, and never outside of it."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mcp_packager.bundle import Entry, Packed, Stored, content
from mcp_packager.bundle.install import listed
from mcp_packager.bundle.listing import lay_out
from mcp_packager.bundle.merge import merged
from mcp_packager.bundle.tree import write_tree
from mcp_packager.errors import UserError
from mcp_packager.store import Store
from tests.bundle.locks import shelve
from tests.lock.made_wheels import make

SELF_AWARE = "import importlib.metadata as m\nprint(m.version('alpha'), len(m.files('alpha')))"


def _entries(wheel: Path, store: Store) -> dict[str, Entry]:
    return {entry.path: entry for entry in listed(shelve(wheel, store), store)}


def test_a_plain_wheel_keeps_its_files_and_its_metadata(tmp_path: Path, store: Store) -> None:
    wheel = make(
        tmp_path,
        "alpha",
        files={"alpha/__init__.py": "x = 1\n", "alpha/data.txt": "d", "alpha/run.sh": "#!"},
        executable=["alpha/run.sh"],
    )
    entries = _entries(wheel, store)
    assert sorted(entries) == [
        "lib/alpha-1.0.dist-info/METADATA",
        "lib/alpha-1.0.dist-info/RECORD",
        "lib/alpha-1.0.dist-info/WHEEL",
        "lib/alpha/__init__.py",
        "lib/alpha/data.txt",
        "lib/alpha/run.sh",
    ]
    assert entries["lib/alpha/run.sh"].mode == 0o755
    assert entries["lib/alpha/data.txt"].mode == 0o644
    with zipfile.ZipFile(wheel) as archive:
        for entry in entries.values():
            assert isinstance(entry.source, Packed)
            data = archive.read(entry.source.member)
            assert (hashlib.sha256(data).hexdigest(), len(data)) == (entry.sha256, entry.size)
            assert content(entry) == data


def test_data_folders_go_where_they_belong(tmp_path: Path, store: Store) -> None:
    files: dict[str, str | bytes] = {
        "alpha.py": "",
        "alpha-1.0.data/purelib/pure.py": "p",
        "alpha-1.0.data/platlib/plat.py": "q",
        "alpha-1.0.data/scripts/run-alpha": "#!python\nprint('alpha')\n",
        "alpha-1.0.data/scripts/native": b"\x7fELF",
        "alpha-1.0.data/data/share/alpha/table.csv": "1,2",
        "alpha-1.0.data/headers/alpha.h": "int x;",
    }
    entries = _entries(make(tmp_path, "alpha", files=files), store)
    assert content(entries["lib/bin/run-alpha"]) == b"#!/usr/bin/env python3\nprint('alpha')\n"
    assert entries["lib/bin/run-alpha"].mode == entries["lib/bin/native"].mode == 0o755
    assert {"lib/pure.py", "lib/plat.py", "lib/share/alpha/table.csv"} <= set(entries)
    assert not [path for path in entries if path.endswith(".h") or ".data/" in path]
    moved = entries["lib/pure.py"].source
    assert isinstance(moved, Packed)
    assert moved.member == "alpha-1.0.data/purelib/pure.py"
    assert isinstance(entries["lib/bin/run-alpha"].source, Stored)
    rows = list(csv.reader(content(entries["lib/alpha-1.0.dist-info/RECORD"]).decode().splitlines()))
    assert sorted(row[0] for row in rows) == sorted(path.removeprefix("lib/") for path in entries)


def test_the_result_is_importable_and_knows_its_version(tmp_path: Path, store: Store) -> None:
    wheel = make(
        tmp_path,
        "alpha",
        "2.5",
        files={"alpha-2.5.data/purelib/alpha.py": SELF_AWARE},
    )
    entries = listed(shelve(wheel, store), store)
    lay_out(entries)
    write_tree(entries, tmp_path / "tree")
    command = [sys.executable, "-S", "-P", "-B", "-c", "import alpha"]
    env = {"PYTHONPATH": str(tmp_path / "tree" / "lib")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2.5", "4"]


def test_stale_bytecode_in_a_wheel_is_left_out(tmp_path: Path, store: Store) -> None:
    wheel = make(
        tmp_path, "alpha", files={"alpha.py": "", "__pycache__/alpha.cpython-311.pyc": b"\0", "beta.pyc": b"\0"}
    )
    assert not [path for path in _entries(wheel, store) if path.endswith(".pyc")]


@pytest.mark.parametrize(
    "member",
    [
        "../evil.py",
        "alpha/../../evil.py",
        "/etc/evil.py",
        "C:/evil.py",
        "a\\..\\evil.py",
        "alpha-1.0.data/data/../../../evil",
    ],
)
def test_a_wheel_that_would_write_outside_is_refused(tmp_path: Path, store: Store, member: str) -> None:
    wheel = shelve(make(tmp_path, "alpha", files={member: "evil"}), store)
    with pytest.raises(UserError, match="outside its folder"):
        listed(wheel, store)
    assert not list(tmp_path.rglob("*evil*"))


def test_a_wheel_with_a_link_is_refused(tmp_path: Path, store: Store) -> None:
    wheel = shelve(make(tmp_path, "alpha", files={"alpha.py": ""}, links={"passwords": "/etc/passwd"}), store)
    with pytest.raises(UserError, match="holds a link, passwords"):
        listed(wheel, store)


def test_a_wheel_that_holds_a_path_twice_is_refused(tmp_path: Path, store: Store) -> None:
    files = {"alpha.py": "one", "alpha-1.0.data/purelib/alpha.py": "two"}
    with pytest.raises(UserError, match=r"holds alpha\.py twice"):
        listed(shelve(make(tmp_path, "alpha", files=files), store), store)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"<html>login page</html>"])
def test_what_is_no_wheel_is_refused(tmp_path: Path, store: Store, content: bytes) -> None:
    path = tmp_path / "alpha-1.0-py3-none-any.whl"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is not a wheel"):
        listed(shelve(path, store), store)


def test_a_zip_without_wheel_metadata_is_refused(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "alpha-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("alpha.py", "")
    with pytest.raises(UserError, match=r"holds no \.dist-info/WHEEL"):
        listed(shelve(path, store), store)


def _merge(store: Store, *wheels: Path) -> dict[str, Entry]:
    shelved = [shelve(wheel, store) for wheel in wheels]
    return {entry.path: entry for entry in merged([(wheel, listed(wheel, store)) for wheel in shelved])}


def test_two_wheels_may_share_a_file_with_the_same_content(tmp_path: Path, store: Store) -> None:
    one = make(tmp_path, "alpha", files={"shared/__init__.py": "same", "shared/a.py": ""})
    two = make(tmp_path, "beta", files={"shared/__init__.py": "same", "shared/b.py": ""})
    assert {"lib/shared/__init__.py", "lib/shared/a.py", "lib/shared/b.py"} <= set(_merge(store, one, two))


def test_two_wheels_with_different_content_are_a_problem_that_names_both(tmp_path: Path, store: Store) -> None:
    one = make(tmp_path, "alpha", files={"shared/__init__.py": "one", "shared/x.py": "one"})
    two = make(tmp_path, "beta", files={"shared/__init__.py": "two", "shared/x.py": "two"})
    with pytest.raises(UserError, match=r"alpha and beta both bring shared/__init__\.py") as caught:
        _merge(store, one, two)
    assert len(caught.value.problems) == 1


def test_test_folders_that_wheels_ship_by_mistake_do_not_clash(tmp_path: Path, store: Store) -> None:
    one = make(tmp_path, "alpha", files={"alpha.py": "", "tests/__init__.py": "one", "LICENSE": "one"})
    two = make(tmp_path, "beta", files={"beta.py": "", "tests/__init__.py": "two", "LICENSE": "two"})
    entries = _merge(store, one, two)
    assert content(entries["lib/tests/__init__.py"]) == b"one"

"""The zip: what is in the bundle and nothing else, the same bytes every time, wheels' streams as they are."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mcp_packager.bundle import content
from mcp_packager.bundle.entries import Bundle, inline
from mcp_packager.bundle.zip import Zipped, sizes, write_zip
from mcp_packager.errors import UserError
from mcp_packager.store import Store
from tests.bundle.locks import assembled
from tests.lock.made_wheels import make
from tests.lock.projects import Project, here


def _bundle(project: Project, store: Store) -> Bundle:
    project.write("words/lišta.txt", "x" * 5000)
    project.write("run.sh", "#!/bin/sh\n")
    (project.folder / "run.sh").chmod(0o755)
    return assembled(project, store, [make(project.folder.parent / "wheels", "alpha")])


def _zip(bundle: Bundle, store: Store, path: Path) -> Zipped:
    return write_zip(bundle, path, [inline("start.py", b"pass\n")], store=store)


def test_it_holds_the_bundle_and_what_stands_beside_it(project: Project, store: Store, tmp_path: Path) -> None:
    bundle = _bundle(project, store)
    made = _zip(bundle, store, tmp_path / "out" / "tool.zip")
    expected = {entry.path: (entry.mode, content(entry)) for entry in bundle.entries} | {"start.py": (0o644, b"pass\n")}
    with zipfile.ZipFile(made.path) as archive:
        assert archive.testzip() is None
        found = {
            member.filename: (stat.S_IMODE(member.external_attr >> 16), archive.read(member))
            for member in archive.infolist()
        }
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert all(stat.S_ISREG(member.external_attr >> 16) for member in archive.infolist())
    assert found == expected
    assert found["app/run.sh"] == (0o755, b"#!/bin/sh\n")
    assert made.size == made.path.stat().st_size
    assert made.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert (made.unzipped, made.files) == (sum(len(data) for _, data in expected.values()), len(expected))


def test_it_is_the_same_every_time(project: Project, store: Store, tmp_path: Path) -> None:
    bundle = _bundle(project, store)
    first = _zip(bundle, store, tmp_path / "one.zip").path.read_bytes()
    assert _zip(bundle, store, tmp_path / "two.zip").path.read_bytes() == first
    other = Store(tmp_path / "other")
    again = assembled(project, other, sorted((tmp_path / "wheels").iterdir()))
    assert _zip(again, other, tmp_path / "three.zip").path.read_bytes() == first


def test_a_wheel_s_streams_are_copied(project: Project, store: Store, tmp_path: Path) -> None:
    """Compressed in the wheel in a way that we would not: what is in the zip is that."""
    wheel = make(tmp_path / "wheels", "alpha")
    with zipfile.ZipFile(wheel) as archive:
        members = {member.filename: archive.read(member) for member in archive.infolist()}
    members["alpha/large.txt"] = b"".join(b"%d," % number for number in range(20_000))
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        size = archive.getinfo("alpha/large.txt").compress_size
    made = _zip(assembled(project, store, [wheel]), store, tmp_path / "tool.zip")
    with zipfile.ZipFile(made.path) as archive:
        assert archive.getinfo("lib/alpha/large.txt").compress_size == size
        assert archive.read("lib/alpha/large.txt") == members["alpha/large.txt"]


def test_an_edit_changes_the_zip_and_nothing_of_the_rest(project: Project, store: Store, tmp_path: Path) -> None:
    first = _zip(_bundle(project, store), store, tmp_path / "one.zip")
    project.write("shouting.py", "print(1)\n")
    second = _zip(_bundle(project, store), store, tmp_path / "two.zip")
    assert first.sha256 != second.sha256
    with zipfile.ZipFile(first.path) as one, zipfile.ZipFile(second.path) as two:
        changed = {name for name in two.namelist() if two.read(name) != one.read(name)}
    assert {name for name in changed if not name.endswith(".pyc")} == {"app/shouting.py"}


def test_python_imports_out_of_what_was_unpacked(project: Project, store: Store, tmp_path: Path) -> None:
    made = _zip(_bundle(project, store), store, tmp_path / "tool.zip")
    with zipfile.ZipFile(made.path) as archive:
        archive.extractall(tmp_path / "task")
    code = "import alpha, mcp_tool; print(alpha.__file__)"
    line = [sys.executable, "-S", "-B", "-c", code]
    task = tmp_path / "task"
    done = subprocess.run(line, env={"PYTHONPATH": f"{task}/lib"}, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(task))


def test_too_many_files_are_refused(tmp_path: Path, store: Store) -> None:
    entries = tuple(inline(f"app/{number}", b"") for number in range(65_535))
    with pytest.raises(UserError, match="too large for a zip"):
        write_zip(Bundle(entries, here()[0], None), tmp_path / "tool.zip", store=store)
    assert not (tmp_path / "tool.zip").exists()


def test_sizes_are_told_by_package() -> None:
    entries = [
        inline("lib/alpha/a.py", b"x" * 10),
        inline("lib/alpha.libs/a.so", b"x" * 30),
        inline("lib/beta.py", b"xx"),
        inline("app/main.py", b"x" * 20),
    ]
    assert list(sizes(entries).items()) == [("alpha", 40), ("app", 20), ("lib", 2)]

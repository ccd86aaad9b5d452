"""Files written whole, locked between processes, and never outside their folder."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mcp_packager.errors import UserError, WorldError
from mcp_packager.files import confined, link_or_copy, locked, remove_tree, write_atomic


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.json"
    umask = os.umask(0o077)
    try:
        write_atomic(path, b"one")
        write_atomic(path, b"two", mode=0o600)
    finally:
        os.umask(umask)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["file.json"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_a_lock_keeps_another_process_out_and_names_its_holder(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom mcp_packager.files import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for shared in (False, True):
            with pytest.raises(WorldError, match=f"by process {holder.pid}"), locked(path, shared=shared, timeout=0.1):
                pass
        holder.kill()
    with locked(path, timeout=5):  # the kernel let go with the process
        pass


def test_readers_share_a_lock_and_a_writer_waits_for_them(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    order: list[str] = []

    def write() -> None:
        with locked(path, timeout=10):
            order.append("writer")

    with locked(path, shared=True), locked(path, shared=True, timeout=1):
        writer = threading.Thread(target=write)
        writer.start()
        writer.join(0.1)
        order.append("readers")
    writer.join(10)
    assert order == ["readers", "writer"]


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "", ".", "a\0b", "out/x", "link"])
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    (root / "link").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="leads out of"):
        confined(root, path)


def test_a_path_inside_is_joined(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "alias").symlink_to("a")
    assert confined(tmp_path, "a/b.txt") == tmp_path / "a" / "b.txt"
    assert confined(tmp_path, "alias/b.txt") == tmp_path / "alias" / "b.txt"


def test_where_links_do_not_reach_a_file_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    source.chmod(0o555)
    os.utime(source, (5, 5))

    def far(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "another device")

    monkeypatch.setattr(os, "link", far)
    link_or_copy(source, tmp_path / "copy")
    state = (tmp_path / "copy").stat()
    assert (state.st_mode & 0o777, state.st_mtime, state.st_nlink) == (0o555, 5, 1)


def test_a_tree_is_removed_whatever_its_modes_and_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "kept").mkdir(parents=True)
    tree = tmp_path / "tree"
    (tree / "closed").mkdir(parents=True)
    (tree / "closed" / "file").write_text("")
    (tree / "link").symlink_to(outside)
    (tree / "closed").chmod(0o500)
    remove_tree(tree)
    remove_tree(tree)
    assert not tree.exists()
    assert (outside / "kept").is_dir()
    (tmp_path / "link").symlink_to(outside)
    remove_tree(tmp_path / "link")
    assert (outside / "kept").is_dir()
    assert not (tmp_path / "link").is_symlink()

"""The shared store: one maker among many, nothing half made, damage found, old things cleared away."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mcp_packager.errors import WorldError
from mcp_packager.files import link_or_copy
from mcp_packager.store import EPOCH, Store, StoredFile, default_root, trusting, write_file

KEY = "ab" * 32
DAY = 86400.0


def _make(folder: Path) -> Iterable[StoredFile]:
    return [write_file(folder, "b/two.txt", b"two"), write_file(folder, "one.sh", b"one", 0o755)]


def _fail(folder: Path) -> Iterable[StoredFile]:
    pytest.fail(f"made again in {folder}")


def test_an_entry_is_made_once_sorted_read_only_with_one_time(store: Store) -> None:
    entry = store.folder("kind", KEY, _make)
    assert [file.path for file in entry.files] == ["b/two.txt", "one.sh"]
    assert store.folder("kind", KEY, _fail) == entry == store.find("kind", KEY, deep=True)
    for file in entry.files:
        state = (entry.folder / file.path).stat()
        assert state.st_mtime == EPOCH
        assert state.st_mode & 0o222 == 0
        assert bool(state.st_mode & 0o111) == (file.mode == 0o755)


def test_a_maker_that_fails_leaves_nothing(store: Store) -> None:
    def broken(folder: Path) -> Iterable[StoredFile]:
        write_file(folder, "half.txt", b"")
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        store.folder("kind", KEY, broken)
    assert store.find("kind", KEY) is None
    assert list((store.root / "scratch").iterdir()) == []
    assert store.folder("kind", KEY, _make).files


@pytest.mark.parametrize("damage", ["write", "shorten", "remove", "index", "folder"])
def test_damage_is_found_and_mended(store: Store, damage: str) -> None:
    entry = store.folder("kind", KEY, _make)
    target = entry.folder / "b" / "two.txt"
    match damage:
        case "write":
            target.chmod(0o644)
            target.write_bytes(b"TWO")
        case "shorten":
            target.chmod(0o644)
            target.write_bytes(b"")
            os.utime(target, (EPOCH, EPOCH))
        case "remove":
            target.unlink()
        case "index":
            (entry.folder / ".index.json").write_text("{")
        case "folder":
            shutil.rmtree(entry.folder / "b")
    assert store.find("kind", KEY) is None
    mended = store.folder("kind", KEY, _make)
    assert mended == entry
    assert target.read_bytes() == b"two"


def test_writing_through_a_hard_link_is_found(store: Store, tmp_path: Path) -> None:
    entry = store.folder("kind", KEY, _make)
    link_or_copy(entry.folder / "one.sh", tmp_path / "mine.sh")
    (tmp_path / "mine.sh").chmod(0o644)
    (tmp_path / "mine.sh").write_bytes(b"ONE")
    assert store.find("kind", KEY) is None


def test_a_change_that_hides_its_time_is_found_by_a_deep_look(store: Store) -> None:
    entry = store.folder("kind", KEY, _make)
    target = entry.folder / "one.sh"
    target.chmod(0o644)
    target.write_bytes(b"ONE")
    os.utime(target, (EPOCH, EPOCH))
    assert store.find("kind", KEY) is not None
    assert store.find("kind", KEY, deep=True) is None


COMPETE = """
import os, sys
from pathlib import Path
from mcp_packager.store import Store, write_file

def slow(folder):
    with open(sys.argv[2], "a") as handle:
        handle.write(f"{os.getpid()}\\n")
    return [write_file(folder, f"{number}.txt", os.urandom(5000)) for number in range(40)]

print("ready", flush=True)
sys.stdin.readline()
for number in range(5):
    entry = Store(Path(sys.argv[1])).folder("kind", f"{number:064d}", slow)
    assert len(list(entry.folder.glob("*.txt"))) == 40
"""


def test_many_processes_at_once_make_each_entry_once(store: Store, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command: list[str | Path] = [sys.executable, "-c", COMPETE, store.root, log]
    with contextlib.ExitStack() as stack:
        start = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        workers = [stack.enter_context(worker) for worker in start]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        assert [worker.wait(60) for worker in workers] == [0, 0, 0, 0]
    assert len(log.read_text().split()) == 5


def test_many_threads_at_once_make_an_entry_once(store: Store) -> None:
    made: list[Path] = []

    def slow(folder: Path) -> Iterable[StoredFile]:
        made.append(folder)
        return _make(folder)

    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda _: store.folder("kind", KEY, slow), range(16)))
    assert len(made) == 1
    assert len(set(entries)) == 1


def _age(store: Store, key: str, seconds: float) -> None:
    entry = store.find("kind", key)
    assert entry is not None
    moment = time.time() - seconds
    os.utime(entry.folder / ".index.json", (moment, moment))


def test_prune_removes_what_was_not_used_for_long(store: Store) -> None:
    keys = [f"{number:064x}" for number in range(3)]
    for key in keys:
        store.folder("kind", key, _make)
    _age(store, keys[0], 40 * DAY)
    _age(store, keys[1], 20 * DAY)
    pruned = store.prune(older_than=30 * DAY)
    assert (pruned.removed, pruned.removed_bytes, pruned.kept, pruned.kept_bytes) == (1, 6, 2, 12)
    assert [store.find("kind", key) is not None for key in keys] == [False, True, True]


def test_using_an_entry_keeps_it(store: Store) -> None:
    store.folder("kind", KEY, _make)
    _age(store, KEY, 40 * DAY)
    assert store.find("kind", KEY) is not None
    assert store.prune(older_than=30 * DAY).removed == 0


def test_prune_to_a_size_takes_the_longest_unused_first_and_nothing_in_use(store: Store) -> None:
    keys = [f"{number:064x}" for number in range(4)]
    for number, key in enumerate(keys):
        store.folder("kind", key, _make)
        _age(store, key, (4 - number) * 2 * DAY)
    store.find("kind", keys[0])  # used just now, though it was the oldest
    assert store.prune(larger_than=12).removed == 2
    assert [store.find("kind", key) is not None for key in keys] == [True, False, False, True]
    assert store.prune(larger_than=0).removed == 0


def test_prune_sweeps_what_a_crash_left(store: Store) -> None:
    left = store.root / "scratch" / "123-dead"
    (left / "deep").mkdir(parents=True)
    (left / "deep" / "x").write_text("")
    moment = time.time() - 2 * DAY
    os.utime(left, (moment, moment))
    store.remember("notes", KEY, {"old": True})
    record = next((store.root / "records").rglob("*.json"))
    os.utime(record, (moment, moment))
    with store.scratch() as busy:
        store.prune(older_than=DAY)
        assert busy.is_dir()
    assert not left.exists()
    assert store.record("notes", KEY) is None


def test_records_are_remembered_and_a_broken_one_is_forgotten(store: Store) -> None:
    assert store.record("notes", KEY) is None
    store.remember("notes", KEY, {"a": [1]})
    assert store.record("notes", KEY) == {"a": [1]}
    next((store.root / "records").rglob("*.json")).write_text("{")
    assert store.record("notes", KEY) is None


def test_a_store_that_cannot_be_used_is_the_worlds_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "store")
    with pytest.raises(WorldError, match="cannot be used") as caught:
        store.folder("kind", KEY, _make)
    assert "MCP_PACK_CACHE" in caught.value.problems[0].fix
    store.remember("notes", KEY, {})  # only a memory; nobody needs to hear that it failed


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MCP_PACK_CACHE", str(tmp_path / "mine"))
    assert default_root() == tmp_path / "mine"
    monkeypatch.delenv("MCP_PACK_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_root() == tmp_path / "xdg" / "mcp-pack"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_root() == tmp_path / ".cache" / "mcp-pack"


def test_what_was_found_whole_is_not_looked_at_again_while_a_command_trusts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = store.folder("kind", "key", lambda folder: [write_file(folder, "a", b"1")])
    with trusting():
        assert store.find("kind", "key") == made
        (made.folder / "a").unlink()
        assert store.find("kind", "key") == made
        assert store.find("kind", "key", deep=True) is None
    assert store.find("kind", "key") is None

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from mcp_packager.errors import WorldError
from mcp_packager.target import Holder, RecordTakenError, Release
from mcp_targets.local.records import FileLock, FileRecords

COMPAT = Path(__file__).parents[1] / "compat"


@pytest.fixture
def release() -> Release:
    return Release.from_json(json.loads((COMPAT / "release.1.json").read_text()))


def test_numbers_in_order_and_forgetting(tmp_path: Path, release: Release) -> None:
    records = FileRecords(tmp_path / "none" / "yet")
    assert records.listing() == ()
    for number in (10, 9, 2):
        records.add(release.renumbered(number))
    assert [found.number for found in records.listing()] == [2, 9, 10]
    records.remove(9)
    records.remove(9)
    assert [found.number for found in records.listing()] == [2, 10]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "none" / "yet").iterdir())


def test_of_many_writers_one_gets_the_number(tmp_path: Path, release: Release) -> None:
    records = FileRecords(tmp_path)
    outcomes: list[bool] = []
    start = threading.Barrier(8)

    def write() -> None:
        start.wait()
        try:
            records.add(release)
            outcomes.append(True)
        except RecordTakenError:
            outcomes.append(False)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 7 + [True]
    assert [path.name for path in tmp_path.iterdir()] == ["7.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 1}', '{"schema": 99}'])
def test_a_record_that_cannot_be_read_is_told_with_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "1.json").write_text(text)
    with pytest.raises(WorldError) as caught:
        FileRecords(tmp_path).listing()
    assert caught.value.problems[0].where.file == str(tmp_path / "1.json")


def test_a_lock_is_swapped_by_one_of_many(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock.json", tmp_path / ".gate")
    assert lock.read() is None
    holders = [Holder(f"user{number}", "deploy", f"token{number}", 1.0, 9e9) for number in range(8)]
    outcomes: list[bool] = []
    start = threading.Barrier(8)

    def take(holder: Holder) -> None:
        start.wait()
        outcomes.append(lock.swap(None, holder))

    threads = [threading.Thread(target=take, args=(holder,)) for holder in holders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(True) == 1
    held = lock.read()
    assert held in holders
    assert not lock.swap(next(holder for holder in holders if holder != held), None)
    assert lock.swap(held, None)
    assert lock.read() is None


@pytest.mark.parametrize("text", ["", "[]", "{}", "null"])
def test_a_lock_that_makes_no_sense_holds_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "lock.json").write_text(text)
    lock = FileLock(tmp_path / "lock.json", tmp_path / ".gate")
    assert lock.read() is None
    assert lock.swap(None, Holder("me", "deploy", "t", 1.0, 9e9))

"""The way of a line: to a descriptor that somebody reads slowly or not at all, and into a file that many write."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from mcp_tool.serve.observe.log import encode
from mcp_tool.serve.observe.log_file import LogFile
from mcp_tool.serve.observe.log_writer import Writer


def line(document: dict[str, object]) -> bytes:
    return json.dumps(document).encode()


class TestWriter:
    def test_lines_keep_their_order_when_the_reader_falls_behind_and_catches_up(self) -> None:
        read, write = os.pipe()
        writer = Writer(write)
        for number in range(500):
            writer.write(line({"n": number, "text": "x" * 1000}))
        assert not writer.flush(0.05)
        found: list[bytes] = []
        with os.fdopen(read, "rb") as source:
            reader = threading.Thread(target=lambda: found.extend(source))
            reader.start()
            assert writer.flush(20)
            for number in range(500, 600):
                writer.write(line({"n": number, "text": "y" * 10_000}))
            assert writer.flush(20)
            os.close(write)
            reader.join(20)
        assert [json.loads(line)["n"] for line in found] == list(range(600))
        assert writer.lost == 0

    def test_a_line_is_there_at_once_where_there_is_room(self) -> None:
        read, write = os.pipe()
        Writer(write).write(b"at once")
        os.set_blocking(read, False)
        assert os.read(read, 100) == b"at once\n"
        os.close(read)
        os.close(write)

    def test_a_descriptor_that_somebody_made_non_blocking_loses_nothing(self) -> None:
        read, write = os.pipe()
        os.set_blocking(write, False)
        writer = Writer(write)
        for number in range(300):
            writer.write(line({"n": number, "text": "x" * 3000}))
        found: list[bytes] = []
        with os.fdopen(read, "rb") as source:
            reader = threading.Thread(target=lambda: found.extend(source))
            reader.start()
            assert writer.flush(20)
            os.close(write)
            reader.join(20)
        assert [json.loads(line)["n"] for line in found] == list(range(300))

    def test_a_reader_that_is_gone_disturbs_nobody(self) -> None:
        read, write = os.pipe()
        os.close(read)
        writer = Writer(write)
        for _ in range(10):
            writer.write(b"for nobody")
        assert writer.lost == 10
        assert writer.flush(0)
        os.close(write)

    def test_a_forked_child_writes_and_leaves_the_waiting_lines_to_its_parent(self) -> None:
        read, write = os.pipe()
        writer = Writer(write)
        for number in range(200):
            writer.write(f"{number} {'x' * 1000}".encode())
        child = os.fork()
        if child == 0:
            writer.write(b"from the child" + b"y" * 3000)
            writer.flush(20)
            os._exit(0)
        found: list[bytes] = []
        with os.fdopen(read, "rb") as source:
            reader = threading.Thread(target=lambda: found.extend(source))
            reader.start()
            assert writer.flush(20)
            assert os.waitpid(child, 0)[1] == 0
            os.close(write)
            reader.join(20)
        assert sum(line.startswith(b"from the child") for line in found) == 1
        assert [int(line.split()[0]) for line in found if line[:1].isdigit()] == list(range(200))

    def test_letters_that_are_none_are_written_all_the_same(self) -> None:
        read, write = os.pipe()
        Writer(write).write(encode({"text": "\ud800 ö"}))
        assert json.loads(os.read(read, 100)) == {"text": "\ud800 ö"}
        os.close(read)
        os.close(write)


def _fill(path: Path, name: str, lines: int, size: int, files: int) -> None:
    file = LogFile(path, size, files)
    for number in range(lines):
        assert file.write(line({"from": name, "n": number, "text": "x" * 100}))


class TestLogFile:
    def test_it_is_put_aside_when_full_and_only_so_many_are_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "deep" / "server.log"
        _fill(path, "one", 100, 1000, 3)
        names = sorted(file.name for file in path.parent.iterdir() if not file.name.startswith("."))
        assert names == ["server.log", "server.log.1", "server.log.2", "server.log.3"]
        assert all(file.stat().st_size <= 1000 for file in path.parent.iterdir())
        assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["n"] == 99

    def test_many_processes_at_once_lose_and_double_no_line(self, tmp_path: Path) -> None:
        path = tmp_path / "server.log"
        fork = multiprocessing.get_context("fork")
        processes = [fork.Process(target=_fill, args=(path, f"p{n}", 400, 20_000, 50)) for n in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
            assert process.exitcode == 0
        files = [file for file in tmp_path.iterdir() if not file.name.startswith(".")]
        assert len(files) > 5
        lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
        found = sorted((line["from"], line["n"]) for line in lines)
        assert found == sorted((f"p{n}", number) for n in range(4) for number in range(400))

    def test_moved_away_it_is_begun_anew(self, tmp_path: Path) -> None:
        path = tmp_path / "audit.log"
        file = LogFile(path)
        assert file.write(b"first")
        path.rename(tmp_path / "elsewhere")
        assert file.write(b"second")
        assert path.read_text(encoding="utf-8") == "second\n"
        file.close()

    def test_a_full_disk_is_counted(self, tmp_path: Path) -> None:
        if not Path("/dev/full").exists():
            pytest.skip("this system has no /dev/full")
        file = LogFile(Path("/dev/full"))
        assert not file.write(b"no room")
        assert file.failed == 1

    def test_a_link_in_its_place_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "other").touch()
        (tmp_path / "server.log").symlink_to(tmp_path / "other")
        with pytest.raises(OSError, match=r"server\.log"):
            LogFile(tmp_path / "server.log")


@pytest.mark.parametrize("end", ["\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("beside", ["", "\ud800"])
def test_no_words_look_like_a_line_of_their_own(end: str, beside: str) -> None:
    document = {"method": f'GET{end}{{"level":"error"}}', "beside": beside}
    (line,) = encode(document).decode().splitlines()
    assert json.loads(line) == document

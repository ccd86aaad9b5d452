"""The file mcp-tool.lock: what it looks like, what old ones still mean, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcp_packager import lock
from mcp_packager.errors import UserError
from mcp_packager.platforms import Platform

FROZEN = Path(__file__).resolve().parents[1] / "compat" / "mcp-tool.lock.1.json"


def test_the_first_schema_is_still_read_and_written_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / lock.FILE_NAME).write_bytes(FROZEN.read_bytes())
    read = lock.read(tmp_path)
    assert read is not None
    assert read.dump() == FROZEN.read_bytes()
    assert set(read.platforms) == {
        Platform("3.11", "x86_64-manylinux_2_28"),
        Platform("3.13", "aarch64-manylinux_2_28"),
    }
    assert read.versions()["numpy"] == "2.4.6, 2.5.5"
    assert read.runtime == lock.LockedRuntime("0.1.0", ("fast",))
    assert list(read.images) == ["registry.example/python:3.13"]


def test_no_lock_is_none(tmp_path: Path) -> None:
    assert lock.read(tmp_path) is None


def test_a_newer_schema_asks_for_a_newer_mcp_pack(tmp_path: Path) -> None:
    (tmp_path / lock.FILE_NAME).write_text('{"schema": 2}')
    with pytest.raises(UserError, match="has schema 2, this mcp-pack reads up to 1") as caught:
        lock.read(tmp_path)
    assert "Upgrade mcp-pack" in caught.value.problems[0].fix


def _with(**changes: object) -> str:
    document = json.loads(FROZEN.read_bytes())
    document["platforms"]["3.11-x86_64-manylinux_2_28"][0].update(changes)
    return json.dumps(document)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"schema": "1"}',
        '{"schema": 1}',
        '{"schema": 1, "inputs": 3, "platforms": []}',
        "<<<<<<< HEAD\n{}\n=======\n",
        _with(file="../../etc/passwd.whl"),
        _with(file="numpy.tar.gz"),
        _with(sha256="abc"),
        _with(sha256="Z" * 64),
    ],
)
def test_what_is_no_lock_is_a_problem_with_a_fix(tmp_path: Path, content: str) -> None:
    (tmp_path / lock.FILE_NAME).write_text(content)
    with pytest.raises(UserError) as caught:
        lock.read(tmp_path)
    assert caught.value.problems[0].where.file == str(tmp_path / lock.FILE_NAME)


def test_a_folder_in_its_place_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / lock.FILE_NAME).mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        lock.read(tmp_path)

"""What can stand where a manifest should: each is one problem with a fix, none an exception."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mcp_packager.errors import Problem, UserError
from mcp_packager.manifest import load

from .samples import SMALLEST


def problem_of(folder: Path) -> Problem:
    with pytest.raises(UserError) as caught:
        load(folder)
    (problem,) = caught.value.problems
    return problem


def problem_with(folder: Path, data: bytes) -> Problem:
    (folder / "mcp-tool.toml").write_bytes(data)
    problem = problem_of(folder)
    assert problem.where.file == str(folder / "mcp-tool.toml")
    return problem


def test_no_file(tmp_path: Path) -> None:
    problem = problem_of(tmp_path)
    assert "mcp-tool.toml" in problem.what
    assert "mcp-pack new" in problem.fix


def test_no_folder(tmp_path: Path) -> None:
    problem = problem_of(tmp_path / "nowhere")
    assert "folder" in problem.what
    assert "--project" in problem.fix


def test_the_folder_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "cannot be read" in problem_of(tmp_path / "file").what


@pytest.mark.parametrize("data", [b"", b"\n", b"  \n\t\n"])
def test_an_empty_file(tmp_path: Path, data: bytes) -> None:
    assert "empty" in problem_with(tmp_path, data).what


def test_comments_alone_lack_the_tool(tmp_path: Path) -> None:
    problem = problem_with(tmp_path, b"# nothing yet\n")
    assert problem.where.key == "tool"
    assert "missing" in problem.what


def test_a_byte_order_mark(tmp_path: Path) -> None:
    problem = problem_with(tmp_path, b"\xef\xbb\xbf" + SMALLEST.encode())
    assert "byte order mark" in problem.what


def test_not_utf8(tmp_path: Path) -> None:
    problem = problem_with(tmp_path, SMALLEST.encode() + "title = 'ä".encode() + b"\xff'\n")
    assert "0xff" in problem.what
    assert (problem.where.line, problem.where.column) == (4, 11)


def test_utf16(tmp_path: Path) -> None:
    assert "UTF-8" in problem_with(tmp_path, SMALLEST.encode("utf-16")).fix


def test_ten_megabytes(tmp_path: Path) -> None:
    assert "larger than 1 MiB" in problem_with(tmp_path, SMALLEST.encode() + b"# x\n" * 2_500_000).what


def test_a_folder_instead(tmp_path: Path) -> None:
    (tmp_path / "mcp-tool.toml").mkdir()
    assert "not a regular file" in problem_of(tmp_path).what


def test_a_pipe_instead(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mcp-tool.toml")
    assert "not a regular file" in problem_of(tmp_path).what


def test_a_device_instead(tmp_path: Path) -> None:
    (tmp_path / "mcp-tool.toml").symlink_to("/dev/zero")
    assert "not a regular file" in problem_of(tmp_path).what


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "mcp-tool.toml").symlink_to("nowhere")
    assert "mcp-tool.toml" in problem_of(tmp_path).what
    (tmp_path / "mcp-tool.toml").unlink()
    (tmp_path / "mcp-tool.toml").symlink_to("mcp-tool.toml")
    assert "cannot be read" in problem_of(tmp_path).what


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "mcp-tool.toml").write_text(SMALLEST)
    (tmp_path / "mcp-tool.toml").chmod(0)
    assert "cannot be read" in problem_of(tmp_path).what


def test_nul_in_the_path(tmp_path: Path) -> None:
    assert "cannot be read" in problem_of(Path(f"{tmp_path}/a\0b")).what


def test_nul_in_the_file(tmp_path: Path) -> None:
    problem = problem_with(tmp_path, SMALLEST.encode() + b"title = '\0'\n")
    assert "not valid TOML" in problem.what
    assert (problem.where.line, problem.where.column) == (4, 10)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[tool\n", 1),
        ("[tool]\nname = x\n", 2),
        ("[tool]\nname = 'a'\nname = 'b'\n", 3),
        ('[tool]\nname = "a\nb = 1\n', 2),
        ("[tool]\n[tool]\n", 2),
        ("a = 1979-02-30\n", 1),
        ("a = 99999999999999999999e9999999999\n=", 2),
    ],
)
def test_syntax(tmp_path: Path, text: str, line: int) -> None:
    problem = problem_with(tmp_path, text.encode())
    assert "not valid TOML" in problem.what
    assert problem.where.line == line
    assert problem.where.column


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "[" * 5000 + "]" * 5000,
        "a = " + "{a=" * 5000,
        ".".join("a" * 40) + " = 1",
        ".".join("a" * 100_000) + " = 1",
        "[" + ".".join("a" * 900) + "]",
        "a = " + "[" * 40 + "]" * 40,
    ],
)
def test_nested_beyond_reason(tmp_path: Path, text: str) -> None:
    assert "nested deeper" in problem_with(tmp_path, text.encode()).what


def test_windows_line_ends(tmp_path: Path) -> None:
    (tmp_path / "mcp-tool.toml").write_bytes((SMALLEST + "nme = 1\n").replace("\n", "\r\n").encode())
    problem = problem_of(tmp_path)
    assert (problem.where.line, problem.where.column, problem.where.key) == (4, 1, "tool.nme")


def test_a_very_long_number(tmp_path: Path) -> None:
    problem = problem_with(tmp_path, SMALLEST.encode() + b"version = " + b"9" * 5000 + b"\n")
    assert len(str(problem)) < 2000
    problem = problem_with(tmp_path, SMALLEST.encode() + b"version = " + b"9" * 900 + b"\n")
    assert problem.found == "a very large integer"


def test_a_thousand_problems_are_all_told(tmp_path: Path) -> None:
    text = SMALLEST + "[env]\n" + "".join(f'"a-{number}" = "x"\n' for number in range(1000))
    (tmp_path / "mcp-tool.toml").write_text(text)
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    assert len(caught.value.problems) == 1000

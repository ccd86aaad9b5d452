"""Merging into a file that a person keeps."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
import tomli

from mcp_packager.client_config import CLIENTS, HttpServer, SecretReference, StdioServer, merge, shape, write
from mcp_packager.client_config.jsonc import parse
from mcp_packager.client_config.merge import location
from mcp_packager.errors import UserError, WorldError

SECRET = SecretReference("API_KEY", "NOTES_API_KEY")
STDIO = StdioServer("notes", ("/usr/bin/uvx", "notes"), {"LEVEL": "info"}, (SECRET,))
HTTP = HttpServer("notes", "https://notes.example.com/mcp", SECRET)

SETTINGS = """\
// Cursor's settings, kept by hand
{
  "mcpServers": {
    "other": { "command": "other", "env": { "KEY": "value" } }, // do not touch
    /* mine */
    "notes": {
      "command": "old", // moved soon
      "args": [],
      "env": { "EXTRA": "stays" },
      "disabled": true,
    },
  },
}
"""
CODEX = """\
model = "o"  # my model

[mcp_servers.other]  # do not touch
command = "other"

[mcp_servers.notes]
command = "old"  # the old one
startup_timeout_sec = 20
"""


def test_everything_else_stays_as_it_was() -> None:
    merged = merge(CLIENTS["cursor"], shape(CLIENTS["cursor"], STDIO), SETTINGS, file="mcp.json")
    entry = parse(merged.text).value["mcpServers"]["notes"]
    assert entry == {
        "command": "/usr/bin/uvx",
        "args": ["notes"],
        "env": {"EXTRA": "stays", "LEVEL": "info", "API_KEY": "${env:NOTES_API_KEY}"},
        "disabled": True,
        "type": "stdio",
    }
    for line in ("// Cursor's settings, kept by hand", "// do not touch", "/* mine */", "// moved soon"):
        assert line in merged.text
    assert merged.changed
    assert merged.replaces


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("server", [STDIO, HTTP], ids=["stdio", "http"])
def test_a_second_merge_changes_nothing(client: str, server: StdioServer | HttpServer) -> None:
    known = CLIENTS[client]
    before = CODEX if known.toml else SETTINGS.replace("mcpServers", known.section)
    first = merge(known, shape(known, server), before, file="f")
    second = merge(known, shape(known, server), first.text, file="f")
    assert first.changed
    assert not second.changed
    assert second.text == first.text


def test_changing_the_transport_leaves_nothing_of_the_old_one() -> None:
    cursor = CLIENTS["cursor"]
    stdio = merge(cursor, shape(cursor, STDIO), SETTINGS, file="f").text
    entry = parse(merge(cursor, shape(cursor, HTTP), stdio, file="f").text).value["mcpServers"]["notes"]
    assert set(entry) == {"url", "headers", "disabled"}


def test_inputs_are_added_once() -> None:
    vscode = CLIENTS["vscode"]
    before = '{\n  "inputs": [\n    { "id": "mine", "type": "promptString" } // mine\n  ],\n  "servers": {}\n}\n'
    once = merge(vscode, shape(vscode, STDIO), before, file="f").text
    twice = merge(vscode, shape(vscode, STDIO), once, file="f").text
    assert [item["id"] for item in parse(twice).value["inputs"]] == ["mine", "notes-api_key"]
    assert "// mine" in twice


def test_toml_comments_and_other_keys_stay() -> None:
    codex = CLIENTS["codex"]
    merged = merge(codex, shape(codex, HTTP), CODEX, file="config.toml").text
    assert tomli.loads(merged)["mcp_servers"] == {
        "other": {"command": "other"},
        "notes": {
            "startup_timeout_sec": 20,
            "url": "https://notes.example.com/mcp",
            "bearer_token_env_var": "NOTES_API_KEY",
        },
    }
    assert "# my model" in merged
    assert "# do not touch" in merged


@pytest.mark.parametrize("before", ["", "[mcp_servers]\n", 'mcp_servers.other.command = "x"\n', "[other]\nx = 1\n"])
def test_toml_takes_a_new_server_wherever_the_section_stands(before: str) -> None:
    codex = CLIENTS["codex"]
    loaded = tomli.loads(merge(codex, shape(codex, STDIO), before, file="f").text)
    assert loaded["mcp_servers"]["notes"]["env"] == {"LEVEL": "info"}


@pytest.mark.parametrize("server", [STDIO, HTTP], ids=["stdio", "http"])
@pytest.mark.parametrize(
    "before",
    [
        'mcp_servers = { other = { command = "x" } }\n',
        '[mcp_servers]\nnotes = { command = "x", env = { A = "b" } }\n',
        '[mcp_servers.notes]\ncommand = "x"\n[mcp_servers.notes.env]\nA = "b"\n[other]\n',
        '[mcp_servers.a]\ncommand = "x"\n[other]\ny = 1\n[mcp_servers.b]\ncommand = "y"\n',
        '[mcp_servers.notes]\ncommand = "x"\n[other]\ny = 1\n[mcp_servers.b]\ncommand = "y"\n',
        '[mcp_servers.notes]\r\ncommand = "x"\r\n# end\r\n',
    ],
)
def test_toml_in_every_layout_keeps_its_meaning(before: str, server: StdioServer | HttpServer) -> None:
    codex = CLIENTS["codex"]
    merged = merge(codex, shape(codex, server), before, file="f")
    after, then = tomli.loads(merged.text), tomli.loads(before)
    entry = after["mcp_servers"].pop("notes")
    then["mcp_servers"].pop("notes", None)
    assert after == then
    assert entry.get("command") == ("/usr/bin/uvx" if server is STDIO else None)
    assert not merge(codex, shape(codex, server), merged.text, file="f").changed


@pytest.mark.parametrize(
    ("client", "text", "line", "column"),
    [
        ("cursor", '{\n  "mcpServers": {,}\n}', 2, 18),
        ("cursor", '{\n  "mcpServers": 5\n}', 2, 17),
        ("cursor", "[]", 1, 1),
        ("codex", "a = 1\nb = =\n", 2, None),
        ("codex", "mcp_servers = 5\n", None, None),
    ],
)
def test_a_broken_file_is_refused_with_the_place(
    client: str, text: str, line: int | None, column: int | None, tmp_path: Path
) -> None:
    file = tmp_path / "settings"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        write(CLIENTS[client], shape(CLIENTS[client], STDIO), file)
    (problem,) = caught.value.problems
    assert (problem.where.file, problem.where.line) == (str(file), line)
    assert column is None or problem.where.column == column
    assert file.read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["settings"]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_bytes(b'{\n"a": "\xff"}')
    with pytest.raises(UserError, match="not UTF-8") as caught:
        write(CLIENTS["cursor"], shape(CLIENTS["cursor"], STDIO), file)
    assert caught.value.problems[0].where.line == 2


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        write(CLIENTS["cursor"], shape(CLIENTS["cursor"], STDIO), tmp_path)


def test_the_old_content_is_kept_with_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(SETTINGS)
    file.chmod(0o640)
    written = write(CLIENTS["cursor"], shape(CLIENTS["cursor"], STDIO), file)
    assert written.changed
    assert written.backup is not None
    assert written.backup.read_text() == SETTINGS
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, written.backup)] == [0o640, 0o640]
    again = write(CLIENTS["cursor"], shape(CLIENTS["cursor"], STDIO), file)
    assert not again.changed
    assert written.backup.read_text() == SETTINGS


def test_an_earlier_backup_is_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    contents = [SETTINGS, SETTINGS.replace("notes", "other"), "{}"]
    kept = []
    for content in contents:
        file.write_text(content)
        kept.append(write(CLIENTS["cursor"], shape(CLIENTS["cursor"], STDIO), file).backup)
    names = [path.name for path in kept if path is not None]
    assert names == ["mcp.json.bak", "mcp.json.bak.2", "mcp.json.bak.3"]
    assert [(tmp_path / name).read_text() for name in names] == contents


def test_a_new_file_and_its_folder_are_made_for_the_user_alone(tmp_path: Path) -> None:
    file = location(CLIENTS["windsurf"], tmp_path, home=tmp_path, system="linux")
    written = write(CLIENTS["windsurf"], shape(CLIENTS["windsurf"], STDIO), file)
    assert written.backup is None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["mcpServers"]["notes"]["command"] == "/usr/bin/uvx"


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "mcp.json"
    real.parent.mkdir()
    real.write_text("{}")
    link = tmp_path / "mcp.json"
    link.symlink_to(real)
    write(CLIENTS["cursor"], shape(CLIENTS["cursor"], STDIO), link)
    assert link.is_symlink()
    assert "notes" in json.loads(real.read_text())["mcpServers"]


def test_a_no_leaves_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(SETTINGS)
    questions: list[str] = []

    def no(question: str) -> bool:
        questions.append(question)
        return False

    assert not write(CLIENTS["cursor"], shape(CLIENTS["cursor"], STDIO), file, confirm=no).changed
    assert file.read_text() == SETTINGS
    assert "notes" in questions[0]


def test_a_write_in_between_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(SETTINGS)

    def meanwhile(_question: str) -> bool:
        file.write_text("{}")
        return True

    with pytest.raises(WorldError, match="meanwhile"):
        write(CLIENTS["cursor"], shape(CLIENTS["cursor"], STDIO), file, confirm=meanwhile)
    assert file.read_text() == "{}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_cannot_be_written_is_the_worlds_problem(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(WorldError, match="cannot be written"):
        write(CLIENTS["cursor"], shape(CLIENTS["cursor"], STDIO), tmp_path / "mcp.json")


def test_a_byte_order_mark_stays() -> None:
    cursor = CLIENTS["cursor"]
    assert merge(cursor, shape(cursor, STDIO), "\ufeff{}", file="f").text.startswith("\ufeff{")


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("linux", ".config/Claude/claude_desktop_config.json"),
        ("darwin", "Library/Application Support/Claude/claude_desktop_config.json"),
        ("win32", "AppData/Roaming/Claude/claude_desktop_config.json"),
    ],
)
def test_a_users_file_is_where_the_system_keeps_it(system: str, expected: str) -> None:
    home = Path("/home/somebody")
    assert location(CLIENTS["claude-desktop"], Path("/project"), home=home, system=system) == home / expected
    assert location(CLIENTS["vscode"], Path("/project"), home=home, system=system) == Path("/project/.vscode/mcp.json")

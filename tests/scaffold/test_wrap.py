"""Wrapping an existing server: what is found by reading it, and what the project then holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli

from mcp_packager.errors import UsageError, UserError
from mcp_packager.scaffold import NewRequest, create
from mcp_packager.scaffold.wrap import find_server
from tests.cli.process import run

SERVER = '''\
"""Looks after notes."""

import httpx
import yaml
import store
from strange import thing
from mcp.server import MCPServer

app = MCPServer("notes")


@app.tool()
def find(text: str) -> list[str]:
    """Find notes."""
    return store.find(text)


if __name__ == "__main__":
    app.run()
'''


def written(folder: Path, text: str, name: str = "server.py") -> Path:
    file = folder / name
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    "text",
    [
        "from mcp.server import MCPServer\nmcp = MCPServer('x')",
        "from mcp.server.mcpserver import MCPServer as Server\nmcp = Server('x')",
        "import mcp.server as s\nmcp = s.MCPServer('x')",
        "import mcp.server\nmcp: mcp.server.MCPServer = mcp.server.MCPServer('x')",
        "from fastmcp import FastMCP\nmcp = FastMCP('x')",
        "import fastmcp\nmcp = fastmcp.FastMCP.from_openapi({})",
        "from fastmcp import FastMCP\nclass Mine(FastMCP):\n    pass\nmcp = Mine()",
        "from mcp.server import MCPServer\ntry:\n    mcp = MCPServer('x')\nexcept OSError:\n    raise",
        "from mcp.server import MCPServer\nwith open('f') as f:\n    mcp = MCPServer(f.read())",
        "from mcp.server import MCPServer\nmcp = MCPServer[dict]('x')",
    ],
)
def test_the_object_is_found_however_it_is_made(text: str, tmp_path: Path) -> None:
    assert find_server(written(tmp_path, text), None).entrypoint == "server:mcp"


def test_the_file_is_read_not_run(tmp_path: Path) -> None:
    text = "from mcp.server import MCPServer\nopen('ran', 'w')\nraise SystemExit\nmcp = MCPServer('x')\n"
    find_server(written(tmp_path, text), None)
    assert not (tmp_path / "ran").exists()


def test_what_is_made_in_a_function_or_under_the_guard_does_not_count(tmp_path: Path) -> None:
    text = (
        "from mcp.server import MCPServer\ndef make():\n    inner = MCPServer('x')\n"
        "if __name__ == '__main__':\n    guarded = MCPServer('y')\n"
    )
    with pytest.raises(UserError, match="no MCPServer or FastMCP object"):
        find_server(written(tmp_path, text), None)


def test_several_are_listed_and_one_can_be_chosen(tmp_path: Path) -> None:
    file = written(tmp_path, "from mcp.server import MCPServer\na = MCPServer('a')\nb = MCPServer('b')\n")
    with pytest.raises(UserError) as caught:
        find_server(file, None)
    assert caught.value.problems[0].found == "a (line 2), b (line 3)"
    assert "--object a" in caught.value.problems[0].fix
    assert find_server(file, "b").entrypoint == "server:b"
    with pytest.raises(UserError, match="`c` is not assigned"):
        find_server(file, "c")


def test_an_object_from_a_factory_can_be_named(tmp_path: Path) -> None:
    file = written(tmp_path, "from mine import make\nmcp = make()\n")
    assert find_server(file, "mcp").entrypoint == "server:mcp"


def test_version_one_of_the_sdk_is_told_apart(tmp_path: Path) -> None:
    file = written(tmp_path, "from mcp.server.fastmcp import FastMCP\nmcp = FastMCP('x')\n")
    with pytest.raises(UserError, match="version 1 of the MCP SDK") as caught:
        find_server(file, None)
    assert caught.value.problems[0].where.line == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("server.py", "def (", "is not Python"),
        ("server.py", "a = '\0'", "is not Python"),
        ("my-server.py", "", "cannot be imported"),
        ("mcp.py", "", "would hide the library"),
        ("json.py", "", "would hide the library"),
        ("server.py", "from . import x", "relative imports"),
        ("server.py", "", "no MCPServer"),
    ],
)
def test_what_cannot_be_wrapped_is_said(name: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        find_server(written(tmp_path, text, name), None)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        find_server(tmp_path / "server.py", None)


def test_the_project_holds_the_file_its_neighbours_and_its_needs(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    file = written(tmp_path / "old", SERVER)
    written(tmp_path / "old", "import numpy\nimport deeper\ndef find(text): return [text]\n", "store.py")
    (tmp_path / "old" / "deeper").mkdir()
    written(tmp_path / "old" / "deeper", "", "__init__.py")
    written(tmp_path / "old", "", "unrelated.py")
    project = create(NewRequest(name="notes", folder=tmp_path / "notes", server=file, git=False))
    folder = tmp_path / "notes"
    assert {path.relative_to(folder / "src").as_posix() for path in (folder / "src").rglob("*.py")} == {
        "server.py",
        "store.py",
        "deeper/__init__.py",
    }
    assert (folder / "src" / "server.py").read_text() == SERVER
    manifest = tomli.loads((folder / "mcp-tool.toml").read_text())
    assert manifest.keys() == {"tool"}
    assert manifest["tool"]["entrypoint"] == "server:app"
    text = (folder / "pyproject.toml").read_text()
    assert tomli.loads(text)["project"]["description"] == "Looks after notes"
    assert tomli.loads(text)["project"]["dependencies"] == ["httpx", "numpy", "pyyaml"]
    assert "# imported as `strange`" in text
    assert any("strange" in note for note in project.notes)
    assert project.next_commands == ("mcp-pack check", "mcp-pack deploy --target local", "mcp-pack status")


def test_inline_metadata_says_it_better(tmp_path: Path) -> None:
    header = '# /// script\n# dependencies = ["mcp>=2", "mcp[cli]", "httpx>=0.27", "mcping"]\n# ///\n'
    server = find_server(written(tmp_path, header + SERVER), None)
    assert server.needs.known == ("httpx>=0.27", "mcping")
    assert server.needs.unknown == ()


def test_a_server_that_runs_on_import_is_noted(tmp_path: Path) -> None:
    file = written(tmp_path, "from mcp.server import MCPServer\nmcp = MCPServer('x')\nmcp.run()\n")
    (note,) = find_server(file, None).notes
    assert "line 3" in note


def test_a_server_that_says_nothing_of_itself_says_nothing_of_the_template(tmp_path: Path) -> None:
    file = written(tmp_path, "from mcp.server import MCPServer\nmcp = MCPServer('x')\n")
    create(NewRequest(name="a", folder=tmp_path / "a", server=file, git=False))
    project = tomli.loads((tmp_path / "a" / "pyproject.toml").read_text())["project"]
    assert project["description"] == "An MCP server"


def test_from_and_template_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exclude"):
        create(NewRequest(name="a", folder=tmp_path / "a", template="x", server=tmp_path / "server.py"))


def test_a_wrapped_server_passes_check_and_its_test_untouched(tmp_path: Path) -> None:
    text = SERVER.replace("import httpx\nimport yaml\nimport store\nfrom strange import thing\n", "import store\n")
    written(tmp_path, text)
    written(tmp_path, "def find(text: str) -> list[str]:\n    return [text]\n", "store.py")
    assert run("new", "notes", "--from", "server.py", cwd=tmp_path).returncode == 0
    for command in ("check", "test"):
        done = run(command, cwd=tmp_path / "notes")
        assert done.returncode == 0, done.stdout + done.stderr

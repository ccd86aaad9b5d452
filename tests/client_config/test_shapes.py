"""Each client's shape against what that client reads: as schemas, written from the clients' own documentation."""

from __future__ import annotations

import json

import jsonschema
import pytest
import tomli

from mcp_packager.client_config import CLIENTS, HttpServer, SecretReference, Server, StdioServer, render, shape

TOKEN = SecretReference("Authorization", "NOTES_TOKEN")
SECRET = SecretReference("API_KEY", "NOTES_API_KEY", "Key of the notes service")
STDIO = StdioServer("notes", ("/usr/bin/uvx", "--from", "/a b/notes.whl", "notes"), {"LEVEL": "info"}, (SECRET,))
HTTP = HttpServer("notes", "https://notes.example.com/mcp", TOKEN)

STRING = {"type": "string"}
STRINGS = {"type": "array", "items": STRING}
TABLE = {"type": "object", "additionalProperties": STRING}


def closed(required: list[str], **properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


STARTED = {"command": STRING, "args": STRINGS, "env": TABLE}
STDIO_SHAPES = {
    "claude-code": closed(["command"], type={"const": "stdio"}, **STARTED),
    "claude-desktop": closed(["command"], **STARTED),
    "cursor": closed(["command"], type={"const": "stdio"}, **STARTED),
    "vscode": closed(["type", "command"], type={"const": "stdio"}, **STARTED),
    # codex-rs/core/config.schema.json, RawMcpServerConfig: unknown keys are forbidden, and `type` is unknown.
    "codex": closed(["command"], env_vars=STRINGS, **STARTED),
    "gemini-cli": closed(["command"], **STARTED),
    "windsurf": closed(["command"], **STARTED),
    "cline": closed(["command"], type={"const": "stdio"}, disabled={"type": "boolean"}, **STARTED),
    "zed": closed(["command"], **STARTED),
}
HTTP_SHAPES = {
    "claude-code": closed(["type", "url"], type={"const": "http"}, url=STRING, headers=TABLE),
    "claude-desktop": closed(["command"], **STARTED),
    "cursor": closed(["url"], url=STRING, headers=TABLE),
    "vscode": closed(["type", "url"], type={"const": "http"}, url=STRING, headers=TABLE),
    "codex": closed(["url"], url=STRING, bearer_token_env_var=STRING),
    "gemini-cli": closed(["httpUrl"], httpUrl=STRING, headers=TABLE),
    "windsurf": closed(["serverUrl"], serverUrl=STRING, headers=TABLE),
    "cline": closed(["type", "url"], type={"const": "streamableHttp"}, url=STRING, headers=TABLE, disabled={}),
    "zed": closed(["url"], url=STRING, headers=TABLE),
}
SECTIONS = {"vscode": "servers", "codex": "mcp_servers", "zed": "context_servers"}


def document(client: str, server: Server) -> dict[str, object]:
    text = render(CLIENTS[client], shape(CLIENTS[client], server))
    loaded: dict[str, object] = tomli.loads(text) if CLIENTS[client].toml else json.loads(text)
    return loaded


def test_the_table_has_the_clients_that_are_promised() -> None:
    assert set(CLIENTS) == set(STDIO_SHAPES) == set(HTTP_SHAPES)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("server", [STDIO, HTTP], ids=["stdio", "http"])
def test_the_shape_is_what_the_client_reads(client: str, server: Server) -> None:
    loaded = document(client, server)
    section = SECTIONS.get(client, "mcpServers")
    assert set(loaded) - {"inputs"} == {section}
    entry = loaded[section]["notes"]  # type: ignore[index]  # the document's own shape is what is tested
    jsonschema.validate(entry, (STDIO_SHAPES if server is STDIO else HTTP_SHAPES)[client])
    assert server is not STDIO or [entry["command"], *entry["args"]] == list(STDIO.command)


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("claude-code", "${NOTES_API_KEY}"),
        ("cursor", "${env:NOTES_API_KEY}"),
        ("windsurf", "${env:NOTES_API_KEY}"),
        ("cline", "${env:NOTES_API_KEY}"),
        ("gemini-cli", "${NOTES_API_KEY}"),
        ("vscode", "${input:notes-api_key}"),
    ],
)
def test_a_secret_is_a_reference(client: str, expected: str) -> None:
    entry = shape(CLIENTS[client], STDIO).entry
    assert entry["env"] == {"LEVEL": "info", "API_KEY": expected}


def test_codex_is_given_names() -> None:
    assert shape(CLIENTS["codex"], STDIO).entry["env_vars"] == ["API_KEY"]
    assert shape(CLIENTS["codex"], HTTP).entry["bearer_token_env_var"] == "NOTES_TOKEN"


def test_vscode_asks_for_it() -> None:
    (item,) = shape(CLIENTS["vscode"], STDIO).inputs
    assert item == {
        "type": "promptString",
        "id": "notes-api_key",
        "description": "Key of the notes service",
        "password": True,
    }


@pytest.mark.parametrize("client", ["claude-desktop", "zed"])
def test_where_there_is_no_reference_a_person_is_told(client: str) -> None:
    fragment = shape(CLIENTS[client], STDIO)
    assert fragment.entry["env"] == {"LEVEL": "info"}
    assert any("API_KEY" in note for note in fragment.notes)


def test_claude_desktop_reaches_a_url_over_a_bridge() -> None:
    fragment = shape(CLIENTS["claude-desktop"], HttpServer("n", "http://127.0.0.1:8000/mcp"))
    assert fragment.entry["args"] == ["-y", "mcp-remote", "http://127.0.0.1:8000/mcp", "--allow-http"]
    assert any("Connectors" in note for note in fragment.notes)

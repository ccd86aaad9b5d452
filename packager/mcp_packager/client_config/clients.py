"""The clients, as data. One entry a client; nothing else in the packager knows a client by name.

Sources, as read in November 2026: code.claude.com/docs/en/mcp (Claude Code),
modelcontextprotocol.io/docs/develop/connect-local-servers (Claude Desktop), cursor.com/docs/mcp,
code.visualstudio.com/docs/copilot/reference/mcp-configuration, `codex-rs/core/config.schema.json` in
openai/codex, `docs/tools/mcp-server.md` in google-gemini/gemini-cli, docs.windsurf.com/windsurf/cascade/mcp,
docs.cline.bot and cline/cline#8079 (variables), zed.dev/docs/ai/mcp and zed-industries/zed#60459 (no variables).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Secrecy(StrEnum):
    """How a client can be told of a value that its file must not hold."""

    REFERENCE = "reference"
    """The file names an environment variable in a form that the client replaces."""
    INPUT = "input"
    """The file declares an input; the client asks for the value once and keeps it."""
    NAMES = "names"
    """The file lists names of environment variables that are passed on or sent."""
    INHERITED = "inherited"
    """The client replaces nothing, but a server it starts gets the client's own environment."""
    NONE = "none"
    """The client has no way at all."""


@dataclass(frozen=True, slots=True)
class File:
    """Where a client keeps its settings: below the project, or below the user's home by operating system."""

    project: str | None = None
    linux: str = ""
    darwin: str = ""
    windows: str = ""


@dataclass(frozen=True, slots=True)
class Stdio:
    """The shape for a server that the client starts: ``command``, ``args``, ``env``, and what is constant."""

    secrecy: Secrecy
    constant: Mapping[str, str | bool] = field(default_factory=lambda: MappingProxyType({}))
    names_key: str | None = None


@dataclass(frozen=True, slots=True)
class Http:
    """The shape for a server at a URL. ``bridge`` is a program that a client without URLs starts instead."""

    url_key: str
    secrecy: Secrecy
    constant: Mapping[str, str | bool] = field(default_factory=lambda: MappingProxyType({}))
    token_key: str | None = None
    bridge: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Client:
    """A client: its file, the section that holds servers by name, and its two shapes."""

    name: str
    title: str
    file: File
    section: str
    stdio: Stdio
    http: Http
    reference: str = "${%s}"
    """How an environment variable is named in a value; ``%s`` is the variable."""
    toml: bool = False
    remarks: tuple[str, ...] = ()


_CODE_STORAGE = "Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"

_ALL = (
    Client(
        name="claude-code",
        title="Claude Code",
        file=File(project=".mcp.json"),
        section="mcpServers",
        stdio=Stdio(Secrecy.REFERENCE, {"type": "stdio"}),
        http=Http("url", Secrecy.REFERENCE, {"type": "http"}),
    ),
    Client(
        name="claude-desktop",
        title="Claude Desktop",
        file=File(
            linux=".config/Claude/claude_desktop_config.json",
            darwin="Library/Application Support/Claude/claude_desktop_config.json",
            windows="AppData/Roaming/Claude/claude_desktop_config.json",
        ),
        section="mcpServers",
        stdio=Stdio(Secrecy.NONE),
        http=Http("url", Secrecy.NONE, bridge=("npx", "-y", "mcp-remote")),
        remarks=("restart Claude Desktop to load the change",),
    ),
    Client(
        name="cursor",
        title="Cursor",
        file=File(project=".cursor/mcp.json"),
        section="mcpServers",
        stdio=Stdio(Secrecy.REFERENCE, {"type": "stdio"}),
        http=Http("url", Secrecy.REFERENCE),
        reference="${env:%s}",
    ),
    Client(
        name="vscode",
        title="VS Code",
        file=File(project=".vscode/mcp.json"),
        section="servers",
        stdio=Stdio(Secrecy.INPUT, {"type": "stdio"}),
        http=Http("url", Secrecy.INPUT, {"type": "http"}),
        reference="${input:%s}",
    ),
    Client(
        name="codex",
        title="Codex",
        file=File(project=".codex/config.toml"),
        section="mcp_servers",
        stdio=Stdio(Secrecy.NAMES, names_key="env_vars"),
        http=Http("url", Secrecy.NAMES, token_key="bearer_token_env_var"),  # noqa: S106 - the name of a key
        toml=True,
        remarks=(
            "Codex reads a project's file only where the project is trusted; --file ~/.codex/config.toml is for all",
        ),
    ),
    Client(
        name="gemini-cli",
        title="Gemini CLI",
        file=File(project=".gemini/settings.json"),
        section="mcpServers",
        stdio=Stdio(Secrecy.REFERENCE),
        http=Http("httpUrl", Secrecy.REFERENCE),
    ),
    Client(
        name="windsurf",
        title="Windsurf",
        file=File(
            linux=".codeium/windsurf/mcp_config.json",
            darwin=".codeium/windsurf/mcp_config.json",
            windows=".codeium/windsurf/mcp_config.json",
        ),
        section="mcpServers",
        stdio=Stdio(Secrecy.REFERENCE),
        http=Http("serverUrl", Secrecy.REFERENCE),
        reference="${env:%s}",
    ),
    Client(
        name="cline",
        title="Cline",
        file=File(
            linux=f".config/{_CODE_STORAGE}",
            darwin=f"Library/Application Support/{_CODE_STORAGE}",
            windows=f"AppData/Roaming/{_CODE_STORAGE}",
        ),
        section="mcpServers",
        stdio=Stdio(Secrecy.REFERENCE, {"type": "stdio", "disabled": False}),
        http=Http("url", Secrecy.REFERENCE, {"type": "streamableHttp", "disabled": False}),
        reference="${env:%s}",
    ),
    Client(
        name="zed",
        title="Zed",
        file=File(project=".zed/settings.json"),
        section="context_servers",
        stdio=Stdio(Secrecy.INHERITED),
        http=Http("url", Secrecy.NONE),
    ),
)

CLIENTS: Mapping[str, Client] = MappingProxyType({client.name: client for client in _ALL})

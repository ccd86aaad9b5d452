"""From a server to a client's entry. Pure: no file is read here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from mcp_packager.client_config.clients import Client, Secrecy
from mcp_packager.client_config.servers import HttpServer, SecretReference, Server, StdioServer

Entry = dict[str, object]


@dataclass(frozen=True, slots=True)
class Fragment:
    """One server as one client spells it.

    ``entry`` goes below ``section`` under ``name``. ``inputs`` go into the file's top-level ``inputs`` list.
    ``owned`` are the keys that mcp-pack writes for this client, whichever the transport: one of them that is
    not in ``entry`` is left over from before. ``notes`` are for the person.
    """

    section: str
    name: str
    entry: Mapping[str, object]
    inputs: tuple[Mapping[str, object], ...]
    owned: frozenset[str]
    notes: tuple[str, ...]


def shape(client: Client, server: Server) -> Fragment:
    """``server`` in the spelling of ``client``, with every secret as a reference or as a note."""
    match server:
        case StdioServer():
            entry, inputs, notes = _stdio(client, server)
        case HttpServer():
            entry, inputs, notes = _http(client, server)
    return Fragment(
        section=client.section,
        name=server.name,
        entry=entry,
        inputs=tuple(inputs),
        owned=_owned(client),
        notes=(*notes, *client.remarks),
    )


def _stdio(client: Client, server: StdioServer) -> tuple[Entry, list[Entry], list[str]]:
    program, *arguments = server.command
    entry: Entry = {**client.stdio.constant, "command": program, "args": arguments}
    env = dict(server.env)
    inputs: list[Entry] = []
    notes: list[str] = []
    names = ", ".join(secret.variable for secret in server.secrets)
    match client.stdio.secrecy:
        case Secrecy.REFERENCE:
            env |= {secret.name: client.reference % secret.variable for secret in server.secrets}
            if names:
                notes.append(f"set {names} in the environment that {client.title} starts in")
        case Secrecy.INPUT:
            env |= {secret.name: client.reference % _input_id(server.name, secret) for secret in server.secrets}
            inputs = [_input(server.name, secret) for secret in server.secrets]
        case Secrecy.NAMES:
            if server.secrets and client.stdio.names_key:
                # Names only: the client passes variables on under the name they have.
                entry[client.stdio.names_key] = [secret.name for secret in server.secrets]
                notes.append(f"set {_own_names(server.secrets)} in the environment that {client.title} starts in")
        case Secrecy.INHERITED:
            if names:
                notes.append(f"set {_own_names(server.secrets)} in the environment that {client.title} starts in")
        case Secrecy.NONE:
            if names:
                notes.append(
                    f"{client.title} cannot refer to environment variables: put {_own_names(server.secrets)} "
                    f'into this entry\'s `env` yourself, or declare them with `from = "file:…"` in mcp-tool.toml'
                )
    if env:
        entry["env"] = env
    return entry, inputs, notes


def _http(client: Client, server: HttpServer) -> tuple[Entry, list[Entry], list[str]]:
    if client.http.bridge:
        return _bridged(client, server)
    entry: Entry = {**client.http.constant, client.http.url_key: server.url}
    if server.token is None:
        return entry, [], []
    token = server.token
    match client.http.secrecy:
        case Secrecy.REFERENCE:
            entry["headers"] = {"Authorization": f"Bearer {client.reference % token.variable}"}
            return entry, [], [f"set {token.variable} in the environment that {client.title} starts in"]
        case Secrecy.INPUT:
            reference = client.reference % _input_id(server.name, token)
            entry["headers"] = {"Authorization": f"Bearer {reference}"}
            return entry, [_input(server.name, token)], []
        case Secrecy.NAMES:
            entry[client.http.token_key or "bearer_token_env_var"] = token.variable
            return entry, [], [f"set {token.variable} in the environment that {client.title} starts in"]
        case Secrecy.INHERITED | Secrecy.NONE:
            note = (
                f"{client.title} cannot refer to environment variables in headers: let it sign in (OAuth), "
                "or put the Authorization header into its settings yourself"
            )
            return entry, [], [note]


def _bridged(client: Client, server: HttpServer) -> tuple[Entry, list[Entry], list[str]]:
    program, *arguments = client.http.bridge
    extra = ["--allow-http"] if urlsplit(server.url).scheme == "http" else []
    bridge = " ".join(client.http.bridge)
    notes = [
        (
            f"{client.title} takes no URLs in this file: the entry starts `{bridge}` (needs Node.js), which connects "
            "to the URL; the other way is Settings > Connectors, for servers on the public internet"
        )
    ]
    if server.token is not None:
        extra += ["--header", f"Authorization:${{{server.token.variable}}}"]
        notes.append(
            f"put {server.token.variable} (`Bearer` and the token) into this entry's `env` yourself: "
            f"{client.title} cannot refer to it"
        )
    return {"command": program, "args": [*arguments, server.url, *extra]}, [], notes


def _owned(client: Client) -> frozenset[str]:
    keys = {"command", "args", "env", "headers", client.http.url_key, *client.stdio.constant, *client.http.constant}
    keys |= {key for key in (client.stdio.names_key, client.http.token_key) if key is not None}
    return frozenset(keys)


def _own_names(secrets: tuple[SecretReference, ...]) -> str:
    return ", ".join(secret.name for secret in secrets)


def _input_id(server: str, secret: SecretReference) -> str:
    return f"{server}-{secret.name}".lower()


def _input(server: str, secret: SecretReference) -> Entry:
    # https://code.visualstudio.com/docs/copilot/reference/mcp-configuration: `password` keeps it out of sight.
    return {
        "type": "promptString",
        "id": _input_id(server, secret),
        "description": secret.description or f"{secret.name} of {server}",
        "password": True,
    }

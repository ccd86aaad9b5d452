"""What a client is to connect to, before any client's spelling of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A value that the file must not hold: the server wants it as ``name``, the person has it in ``variable``."""

    name: str
    variable: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class StdioServer:
    """A server that the client starts. ``command`` is the program and its arguments."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[SecretReference, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpServer:
    """A server at a URL. ``token`` is sent as a bearer token; ``None`` where it is open or the client signs in."""

    name: str
    url: str
    token: SecretReference | None = None


Server = StdioServer | HttpServer

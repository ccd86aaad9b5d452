"""Settings of MCP clients: what each client wants to read, and how to put it into a file that a person keeps.

Shapes are data (:mod:`.clients`); :func:`shape` turns a server into a client's entry; :func:`render` prints a
whole file; :func:`write` merges into one, touching nothing else in it. Secrets are only ever referred to.
"""

from __future__ import annotations

from mcp_packager.client_config.clients import CLIENTS, Client
from mcp_packager.client_config.merge import Merged, Written, merge, render, write
from mcp_packager.client_config.servers import HttpServer, SecretReference, Server, StdioServer
from mcp_packager.client_config.shapes import Fragment, shape

__all__ = [
    "CLIENTS",
    "Client",
    "Fragment",
    "HttpServer",
    "Merged",
    "SecretReference",
    "Server",
    "StdioServer",
    "Written",
    "merge",
    "render",
    "shape",
    "write",
]

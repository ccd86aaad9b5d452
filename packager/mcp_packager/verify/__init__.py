"""A client's view of a deployment: an MCP client of the standard library, and the check that a deploy makes with it."""

from mcp_packager.verify.check import ServedOtherwiseError, holds, texts, verify
from mcp_packager.verify.client import Era, McpClient, RpcError
from mcp_packager.verify.exchange import RefusedError, UnreachableError
from mcp_packager.verify.probe import probe_token
from mcp_packager.verify.token import ClientCredentials, fetch_token

__all__ = [
    "ClientCredentials",
    "Era",
    "McpClient",
    "RefusedError",
    "RpcError",
    "ServedOtherwiseError",
    "UnreachableError",
    "fetch_token",
    "holds",
    "probe_token",
    "texts",
    "verify",
]

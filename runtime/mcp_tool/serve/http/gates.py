"""What the shell asks before a request reaches the tool: who is it, and may it call now? As interfaces."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from mcp_tool.principal import Principal

Headers = dict[bytes, bytes]
"""Lower-case names; values without the white space around them. A repeated name keeps its first value, as it does for
the SDK; those that decide something (Host, Origin, Authorization, Content-Length) are not let through repeated."""

INVALID_REQUEST: Final = -32600  # JSON-RPC 2.0, section 5.1
INTERNAL_ERROR: Final = -32603  # JSON-RPC 2.0, section 5.1
SERVER_BUSY: Final = -32000  # JSON-RPC 2.0: first of the codes left to implementations

PLATFORM: Final = "mcp_tool.platform"
"""Key in the ASGI scope under which an adapter (such as Lambda's) leaves what the platform says of the request."""

PEER: Final = "mcp_tool.peer"
"""Key in the ASGI scope for the address at the other end of the connection, where `client` is whom it speaks for."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What the platform in front of the server says of a request, which no client can forge.

    Attributes:
        host: The name under which the request came; it is the server's own by that.
        scheme: "https" or "http".
        address: The client's address.
        identity: Of the caller the platform has authenticated, in the platform's words (`mcp_tool.serve.auth.platform`
            lists the forms); None where it has not.
    """

    host: str
    scheme: str = "https"
    address: str = ""
    identity: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer given without asking the tool.

    Attributes:
        status: HTTP status.
        message: For the JSON-RPC error's `message`; names no secret and quotes nothing the caller sent.
        reason: The word under which it is counted: "too_large", "too_slow", "rate", "busy", "draining",
            "unauthenticated", "forbidden", "issuer" (it cannot be asked), "host", "origin", "method", "malformed".
        code: For the JSON-RPC error's `code`.
        headers: Beside content type and length.
    """

    status: int
    message: str
    reason: str
    code: int = INVALID_REQUEST
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Authenticator(Protocol):
    """Finds out who is calling."""

    async def __call__(self, scope: Mapping[str, Any], headers: Headers) -> Principal | Refusal:
        """The caller, or why it is not let in (401 with its challenge; 403 where a scope is missing)."""

    def metadata(self, scope: Mapping[str, Any], headers: Headers) -> bytes | None:
        """The JSON document for a well-known path (RFC 9728); None where `scope["path"]` is no such path."""

    def forbidden(self, scope: Mapping[str, Any], headers: Headers, scopes: frozenset[str]) -> Refusal:
        """The 403 for a caller that lacks scopes of one tool; names all that are wanted at once."""


class Limiter(Protocol):
    """Counts a caller's requests."""

    async def __call__(self, principal: Principal, address: str) -> Refusal | None:
        """Count one request; the refusal where the caller is over its rate.

        Args:
            principal: Who is calling.
            address: The client's address, which stands for callers nobody knows.
        """

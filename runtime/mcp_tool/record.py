"""What is known of one request while it is served; at its end one log line is made of it."""

import time
from dataclasses import dataclass, field

from mcp_tool.principal import ANONYMOUS, Principal

KEY = "mcp_tool.record"
"""Key in the ASGI scope under which the shell leaves the request's record."""


@dataclass(slots=True)
class Record:
    """One request. Whoever finds something out writes it here; nothing that a client sent is here unbounded.

    Attributes:
        request_id: The id that logs and the caller share: `X-Request-Id` where it is sane, else made here.
        trace_id, span_id: Of the W3C `traceparent`, where one came or tracing is on; 32 and 16 hexadecimal digits.
        transport: "http" or "stdio".
        protocol: Protocol version the request is served at.
        method: MCP method, such as "tools/call".
        tool: The tool's name, only if there is such a tool.
        principal: Who is calling.
        client: Name and version that the client says it has.
        address: The client's address; behind trusted proxies the one they name.
        status: HTTP status of the answer; 0 on stdio and before there is one.
        refused: The reason of a refusal, as `Refusal.reason`.
        outcome: "ok", "error" (the tool answered with one), "refused", "failed" (a JSON-RPC error) or "gone".
        error_type: For `outcome` "error" and "failed": "tool_error", "timeout", "crash", or the JSON-RPC code.
        started: `time.perf_counter()` at its begin.
    """

    transport: str = "http"
    request_id: str = ""
    trace_id: str = ""
    span_id: str = ""
    protocol: str = ""
    method: str = ""
    tool: str = ""
    principal: Principal = ANONYMOUS
    client: str = ""
    address: str = ""
    status: int = 0
    refused: str = ""
    outcome: str = ""
    error_type: str = ""
    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Since its begin."""
        return time.perf_counter() - self.started

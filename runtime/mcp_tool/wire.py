"""What the author's side needs of the request being served, as an interface; transports implement it.

Everything is in wire form: camelCase keys, JSON values. `InProcess` implements it where there is no wire.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from mcp_tool.principal import Principal
from mcp_tool.record import Record

MODERN = "2026-07-28"
"""First protocol version in which a call asks its client by returning questions."""

HANDSHAKE: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""The versions that begin with a handshake, oldest first. Held against the SDK's own list by the tests: it is known
here too so that a request can be told apart without importing the SDK."""


class Caller(Protocol):
    """Who calls, and what came with the request."""

    @property
    def request_id(self) -> str | int | None:
        """The JSON-RPC id; None where the call came without one."""

    @property
    def protocol_version(self) -> str:
        """The version this request is served at, such as "2025-11-25"."""

    @property
    def principal(self) -> Principal | None:
        """Who is calling, as authentication found out; None where nobody asked."""

    @property
    def record(self) -> Record | None:
        """What is noted of this request while it is served; None where nobody writes logs."""

    @property
    def headers(self) -> Mapping[str, str] | None:
        """HTTP request headers by lower-case name; None where the transport has none."""

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        """What the client declared it can do; empty where it declared nothing."""

    @property
    def input_responses(self) -> Mapping[str, Any]:
        """The client's answers by key, on a later round of a call; else empty."""

    @property
    def request_state(self) -> str | None:
        """What an earlier round of this call left, verified and opened by the transport."""


class Channel(Protocol):
    """The way back to the client while a request runs."""

    @property
    def can_ask(self) -> bool:
        """Whether `ask` works: older protocol versions over a connection that stays open."""

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Report progress; nothing is sent to a client that did not ask for it."""

    async def log(self, level: str, data: Any, logger: str | None = None) -> None:
        """Send a log message, if the client wants that level."""

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the client ("elicitation/create", "sampling/createMessage", "roots/list") and wait for its result."""

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Tell subscribers of a change: "notifications/{tools,prompts,resources}/list_changed" or ".../updated"."""


class Wire(Caller, Channel, Protocol):
    """One request, seen from the author's side."""


@dataclass
class InProcess:
    """A `Wire` that goes nowhere: for calls made in the same process, such as an author's tests.

    What would have been sent is kept in `sent`, as (kind, payload).
    """

    request_id: str | int | None = None
    protocol_version: str = MODERN
    principal: Principal | None = None
    record: Record | None = None
    headers: Mapping[str, str] | None = None
    client_capabilities: Mapping[str, Any] = field(default_factory=dict)
    input_responses: Mapping[str, Any] = field(default_factory=dict)
    request_state: str | None = None
    can_ask: bool = False
    sent: list[tuple[str, Any]] = field(default_factory=list)

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Keep the report."""
        self.sent.append(("progress", {"progress": progress, "total": total, "message": message}))

    async def log(self, level: str, data: Any, logger: str | None = None) -> None:
        """Keep the message."""
        self.sent.append(("log", {"level": level, "data": data, "logger": logger}))

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Refuse: nobody is there to answer."""
        msg = f"nobody answers {method} in-process: {sorted(params)}"
        raise RuntimeError(msg)

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Keep the event."""
        self.sent.append(("notify", {"method": method, **(params or {})}))

"""`Context`: what a tool may know of the call it serves, and say while it runs."""

from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import asyncio

    from mcp_tool.principal import Principal
    from mcp_tool.wire import Wire


class Context:
    """A parameter annotated `Context` receives it; it does not show in the tool's schema.

    Everything that sends is awaited in an async function and simply called in a plain one.
    """

    __slots__ = ("_send", "_wire", "log")

    def __init__(
        self, wire: "Wire", loop: "asyncio.AbstractEventLoop | None" = None, logger: str | None = None
    ) -> None:
        self._wire = wire
        self._send = _Sender(loop)
        self.log = Log(self._send, wire.log, logger)

    @property
    def request_id(self) -> str | int | None:
        """The JSON-RPC id of the request."""
        return self._wire.request_id

    @property
    def protocol_version(self) -> str:
        """The protocol version of the request, such as "2026-07-28"."""
        return self._wire.protocol_version

    @property
    def principal(self) -> "Principal | None":
        """Who is calling, as authentication found out; None where nobody asked."""
        return self._wire.principal

    @property
    def headers(self) -> Mapping[str, str] | None:
        """HTTP headers of the request by lower-case name; None over stdio. The client wrote them: prove nothing."""
        return self._wire.headers

    @property
    def client(self) -> "Client":
        """What the client can do."""
        return Client(self._wire.client_capabilities)

    @property
    def answers(self) -> Mapping[str, Any]:
        """Answers to what an earlier round returned as `InputRequired`, by key, in wire form."""
        return self._wire.input_responses

    @property
    def state(self) -> str | None:
        """The state that an earlier round returned with `InputRequired`."""
        return self._wire.request_state

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> Awaitable[None]:
        """Report how far the work is; not sent to a client that did not ask for it."""
        return self._send(self._wire.progress(done, total, message))

    def tools_changed(self) -> Awaitable[None]:
        """Tell subscribers that the list of tools changed."""
        return self._send(self._wire.notify("notifications/tools/list_changed"))

    def prompts_changed(self) -> Awaitable[None]:
        """Tell subscribers that the list of prompts changed."""
        return self._send(self._wire.notify("notifications/prompts/list_changed"))

    def resources_changed(self) -> Awaitable[None]:
        """Tell subscribers that the list of resources changed."""
        return self._send(self._wire.notify("notifications/resources/list_changed"))

    def resource_updated(self, uri: str) -> Awaitable[None]:
        """Tell subscribers of a resource that it changed."""
        return self._send(self._wire.notify("notifications/resources/updated", {"uri": uri}))


class Client(NamedTuple):
    """What the client declared, in wire form."""

    capabilities: Mapping[str, Any]

    @property
    def elicits(self) -> bool:
        """Whether it can show a form. A bare declaration counts; one for URLs only does not."""
        declared = self.capabilities.get("elicitation")
        return declared is not None and ("form" in declared or "url" not in declared)

    @property
    def samples(self) -> bool:
        """Whether it lends its language model."""
        return self.capabilities.get("sampling") is not None

    @property
    def lists_roots(self) -> bool:
        """Whether it tells the folders it works in."""
        return self.capabilities.get("roots") is not None


class Log:
    """Log messages to the client, if it wants that level. What an operator needs goes to `logging`."""

    __slots__ = ("_logger", "_send", "_to")

    def __init__(self, send: "_Sender", to: Callable[..., Coroutine[Any, Any, None]], logger: str | None) -> None:
        self._send = send
        self._to = to
        self._logger = logger

    def __call__(self, level: str, data: Any, logger: str | None = None) -> Awaitable[None]:
        """Send at a level: debug, info, notice, warning, error, critical, alert or emergency; data is anything JSON."""
        return self._send(self._to(level, data, logger or self._logger))

    def debug(self, data: Any) -> Awaitable[None]:
        """Send at level debug."""
        return self("debug", data)

    def info(self, data: Any) -> Awaitable[None]:
        """Send at level info."""
        return self("info", data)

    def notice(self, data: Any) -> Awaitable[None]:
        """Send at level notice."""
        return self("notice", data)

    def warning(self, data: Any) -> Awaitable[None]:
        """Send at level warning."""
        return self("warning", data)

    def error(self, data: Any) -> Awaitable[None]:
        """Send at level error."""
        return self("error", data)

    def critical(self, data: Any) -> Awaitable[None]:
        """Send at level critical."""
        return self("critical", data)


class _Sender:
    """Sends from the event loop by awaiting, and from a plain function's thread by waiting."""

    __slots__ = ("_loop",)

    def __init__(self, loop: "asyncio.AbstractEventLoop | None") -> None:
        self._loop = loop

    def __call__(self, message: Coroutine[Any, Any, None]) -> Awaitable[None]:
        import asyncio

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            if self._loop is None:
                asyncio.run(message)
            else:
                asyncio.run_coroutine_threadsafe(message, self._loop).result()
            return _Sent()
        return message


class _Sent:
    """What an already sent message gives to whoever awaits it."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield

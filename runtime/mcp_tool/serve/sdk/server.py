"""A tool of this runtime as an SDK server: every answer comes from the app or its contract, in wire form.

The SDK brings the protocol: framing, versions, envelopes, header checks, sealing of multi-round-trip state.
"""

import contextlib
import functools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import ListenHandler, SubscriptionBus
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import x_mcp_header_map
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.applications import Starlette

from mcp_tool.config import Config, Serve
from mcp_tool.errors import RpcError
from mcp_tool.serve.http.direct import Answer, Behind, Direct, ready, stamp
from mcp_tool.serve.http.noting import Greetings, noted
from mcp_tool.serve.http.passing import LogLevel
from mcp_tool.serve.http.shell import Application
from mcp_tool.serve.observe.calls import Calls
from mcp_tool.serve.problem import StartProblem
from mcp_tool.serve.sdk import events
from mcp_tool.serve.sdk.exchange import Exchange, caller, record_of
from mcp_tool.serve.served import Served
from mcp_tool.wire import MODERN, Wire

if TYPE_CHECKING:
    from mcp_tool.app import App

Context = ServerRequestContext[Any, Any]
Handler = Callable[[Context, Any], Awaitable[dict[str, Any]]]

LISTS = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")


@dataclass(frozen=True)
class Side:
    """The SDK's side of an app.

    Attributes:
        server: Answers whatever no shorter way answers.
        boundary: Seals what a call leaves for its next round.
        bus: Carries what subscribers are told.
        listens: Serves `subscriptions/listen`.
    """

    server: Server[Any]
    boundary: RequestStateBoundary
    bus: events.Bus
    listens: ListenHandler

    def application(self, settings: Serve) -> Starlette:
        """The ASGI application."""
        made = streamable_http(self.server, settings)
        made.add_middleware(Greetings)
        return made

    def behind(self, inner: Application) -> Behind:
        """What stands behind the short way, with its application."""
        return Behind(inner, self.boundary, self.bus)


def side(
    app: "App",
    answer: Answer,
    tool: Mapping[str, Any],
    contract: Mapping[str, Any],
    config: Config,
    log_level: LogLevel,
) -> Side:
    """Put an app behind the SDK, whoever starts and stops it.

    Args:
        app: The author's tools, resources and prompts, loaded.
        answer: The seam.
        tool: The `tool.json` document.
        contract: The contract document; its `answers` are given to clients as they stand.
        config: Where the server runs.
        log_level: What older clients asked to hear.
    """
    bus = events.bus(config, tool["name"])
    server = _server(app, answer, tool, contract, bus, log_level, listen=config.serve.listen)
    boundary = RequestStateBoundary(state_security(config), default_audience=server.name)
    server.middleware.append(boundary)
    listens = ListenHandler(bus)
    if config.serve.listen:
        server.add_request_handler("subscriptions/listen", types.SubscriptionsListenRequestParams, listens)
    noted(server)
    return Side(server, boundary, bus, listens)


def serve_app(app: "App", tool: Mapping[str, Any], contract: Mapping[str, Any], config: Config, calls: Calls) -> Served:
    """Put an app behind the SDK, to be started with the transport.

    Args:
        app: The author's tools, resources and prompts, loaded and not started.
        tool: The `tool.json` document.
        contract: The contract document; its `answers` are given to clients as they stand.
        config: Where the server runs.
        calls: What surrounds every call.
    """

    async def answer(name: str, arguments: Mapping[str, Any], wire: Wire) -> dict[str, Any]:
        return await calls(name, arguments, wire, lambda: app.call_tool(name, arguments, wire))

    log_level = LogLevel()
    made = side(app, answer, tool, contract, config, log_level)

    def shortened(inner: Application) -> Application:
        if config.telemetry is not None:
            return inner  # the SDK's spans are wanted
        there = made.behind(inner)

        async def behind() -> Behind:
            return there

        kept = ready(contract, listen=config.serve.listen)
        return Direct(config.serve.path, _plain(contract), answer, log_level, kept, stamp(contract), behind)

    @contextlib.asynccontextmanager
    async def running() -> AsyncIterator[None]:
        async with made.bus.running():
            await app.start()
            try:
                yield
            finally:
                await app.stop()

    scopes = {entry["name"]: frozenset(entry.get("scopes", ())) for entry in contract["tools"]}
    return Served(made.server, made.application, running, (made.listens,), scopes, shortened, app.runner)


def streamable_http(server: Server[Any], settings: Serve) -> Starlette:
    """The SDK's ASGI application: no sessions, so that any replica answers; hosts are the shell's business."""
    return server.streamable_http_app(
        streamable_http_path=settings.path,
        stateless_http=True,
        max_request_body_size=settings.max_body,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )


def state_security(config: Config) -> RequestStateSecurity:
    """The sealing of multi-round-trip state: with the deployment's shared keys, else with one of this process.

    The first key seals, each opens. What was sealed for one caller is refused from another.

    Raises:
        StartProblem: A key is missing or shorter than 32 bytes.
    """
    keys = []
    for reference in config.serve.state_keys:
        key = reference.read()
        if key is None or len(key.encode()) < 32:
            raise StartProblem(
                f"the state key in {reference} is missing or shorter than 32 bytes",
                "deploy again, or put 32 random bytes (64 hexadecimal digits) there",
            )
        keys.append(key)
    return RequestStateSecurity(keys=keys or [secrets.token_bytes(32)], bind_principal=caller)


def _plain(contract: Mapping[str, Any]) -> frozenset[str]:
    """The tools none of whose arguments is repeated in a header, which would have to be compared with it."""
    schemas = {entry["name"]: entry["definition"].get("inputSchema") or {} for entry in contract["tools"]}
    return frozenset(name for name, schema in schemas.items() if not x_mcp_header_map(schema))


def _server(
    app: "App",
    answer: Answer,
    tool: Mapping[str, Any],
    contract: Mapping[str, Any],
    bus: SubscriptionBus,
    log_level: LogLevel,
    *,
    listen: bool,
) -> Server[Any]:
    schemas = {entry["name"]: entry["definition"].get("inputSchema") for entry in contract["tools"]}
    server: Server[Any] = Server(
        tool["name"],
        version=tool.get("version") or "",
        title=tool.get("title"),
        description=tool.get("description"),
        instructions=tool.get("instructions"),
        get_tool_input_schema=schemas.get,
    )

    def exchange(context: Context) -> Exchange:
        return Exchange(context, bus, log_level, record_of(context))

    @_speaking_rpc
    async def call_tool(context: Context, params: types.CallToolRequestParams) -> dict[str, Any]:
        return await answer(params.name, params.arguments or {}, exchange(context))

    @_speaking_rpc
    async def read_resource(context: Context, params: types.ReadResourceRequestParams) -> dict[str, Any]:
        return await app.read_resource(str(params.uri), exchange(context))

    @_speaking_rpc
    async def get_prompt(context: Context, params: types.GetPromptRequestParams) -> dict[str, Any]:
        return await app.get_prompt(params.name, params.arguments or {}, exchange(context))

    @_speaking_rpc
    async def complete(context: Context, params: types.CompleteRequestParams) -> dict[str, Any]:  # noqa: ARG001 - the SDK calls it so
        wire = params.model_dump(by_alias=True, mode="json", exclude_none=True)
        return await app.complete(wire["ref"], wire["argument"], wire.get("context") or {})

    async def set_level(context: Context, params: types.SetLevelRequestParams) -> dict[str, Any]:
        if context.request is None:  # over HTTP it would be every caller's level, on one replica
            log_level.level = params.level
        return {}

    async def accept(context: Context, params: Any) -> dict[str, Any]:  # noqa: ARG001 - the SDK calls it so
        # Older versions subscribe per connection; over HTTP there is no connection to keep it for, and on
        # stdio the one client gets every update.
        return {}

    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)
    server.add_request_handler("resources/read", types.ReadResourceRequestParams, read_resource)
    server.add_request_handler("prompts/get", types.GetPromptRequestParams, get_prompt)
    server.add_request_handler("completion/complete", types.CompleteRequestParams, complete)
    server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, set_level)
    server.add_request_handler("resources/subscribe", types.SubscribeRequestParams, accept)
    server.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, accept)
    _know(server, contract["answers"], listen=listen)
    return server


def _know(server: Server[Any], answers: Mapping[str, Any], *, listen: bool) -> None:
    """Have a server answer from the contract what the contract holds."""
    for method in LISTS:
        server.add_request_handler(method, types.PaginatedRequestParams, _listing(answers, method))
    discover = "server/discover" if listen else "server/discover without listen"
    server.add_request_handler("server/discover", types.RequestParams, _answering(answers[MODERN][discover]))


def _speaking_rpc(handler: Handler) -> Handler:
    """The runtime's own protocol error as the SDK's, and the mark that the newer era wants on every result."""

    @functools.wraps(handler)
    async def speaking(context: Context, params: Any) -> dict[str, Any]:
        try:
            result = await handler(context, params)
        except RpcError as error:
            raise MCPError(code=error.code, message=error.message, data=error.data) from error
        return {"resultType": "complete", **result} if context.protocol_version in MODERN_PROTOCOL_VERSIONS else result

    return speaking


def _listing(answers: Mapping[str, Any], method: str) -> Handler:
    legacy, modern = answers["legacy"][method], _unstamped(answers[MODERN][method])

    async def listing(context: Context, params: Any) -> dict[str, Any]:  # noqa: ARG001 - the SDK calls it so
        return dict(modern if context.protocol_version in MODERN_PROTOCOL_VERSIONS else legacy)

    return listing


def _answering(answer: Mapping[str, Any]) -> Handler:
    ready = _unstamped(answer)

    async def answering(context: Context, params: Any) -> dict[str, Any]:  # noqa: ARG001 - the SDK calls it so
        return dict(ready)

    return answering


def _unstamped(answer: Mapping[str, Any]) -> dict[str, Any]:
    # The SDK stamps its answers with who the server is; left in, the stamp would end up in another place.
    return {key: value for key, value in answer.items() if key != "_meta"}


__all__ = ["Side", "serve_app", "side", "state_security", "streamable_http"]

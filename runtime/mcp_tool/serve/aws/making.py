"""From the author's code to the application that answers requests, in an environment whose end is not announced."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mcp_tool.app import App
from mcp_tool.serve.http.direct import Direct, ready, stamp
from mcp_tool.serve.http.passing import LogLevel
from mcp_tool.serve.http.shell import Application, Receive, Scope, Send
from mcp_tool.serve.observe.seeing import Seeing, seeing
from mcp_tool.wire import Wire

if TYPE_CHECKING:
    from mcp_tool.serve.http.direct import Behind
    from mcp_tool.serve.served import Served
    from mcp_tool.serve.start import Prepared


@dataclass
class Held:
    """Contexts that are entered and never left: no invocation is the last one."""

    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def enter(self, manager: AbstractAsyncContextManager[object]) -> None:
        """Enter one, in a task of its own, since a task group belongs to the task that made it."""
        loop = asyncio.get_running_loop()
        entered: asyncio.Future[None] = loop.create_future()

        async def hold() -> None:
            try:
                async with manager:
                    entered.set_result(None)
                    await asyncio.Event().wait()
            except Exception as error:
                if entered.done():
                    raise
                entered.set_exception(error)

        self._tasks.append(loop.create_task(hold()))
        await entered


@dataclass(frozen=True)
class Made:
    """What stands inside the shell.

    Attributes:
        application: Answers what passed.
        scopes: By tool, the OAuth scopes that its caller must have.
        watched: What looks at it.
        worn: Whether so many threads are lost that the environment is at its end.
    """

    application: Application
    scopes: Mapping[str, frozenset[str]]
    watched: Seeing
    worn: Callable[[], bool]


async def from_app(app: App, told: "Prepared", held: Held) -> Made:
    """Start an app of this runtime. The SDK is imported when the first request comes that needs it.

    Raises:
        SettingsError: Settings are missing.
        EntrypointError: A `@provide` function failed.
        StartProblem: What is to look at it cannot.
    """
    contract = app.contract() if told.contract is None else told.contract
    watched = seeing(told.config, told.tool, contract)
    await app.start()
    scopes = {entry["name"]: frozenset(entry.get("scopes", ())) for entry in contract["tools"]}
    return Made(_short(app, told, contract, watched, held), scopes, watched, lambda: app.runner.worn)


async def from_served(served: "Served", told: "Prepared", watched: Seeing, held: Held) -> Made:
    """Start a server that was written with another library."""
    await held.enter(served.running())
    inner = served.application(told.config.serve)
    await held.enter(inner.router.lifespan_context(inner))
    runner = served.runner
    return Made(served.shortened(inner), served.scopes, watched, lambda: runner is not None and runner.worn)


def _short(app: App, told: "Prepared", contract: Mapping[str, Any], watched: Seeing, held: Held) -> Application:
    config, log_level = told.config, LogLevel()
    loading: list[asyncio.Task[Behind]] = []

    async def answer(name: str, arguments: Mapping[str, Any], wire: Wire) -> dict[str, Any]:
        return await watched.calls(name, arguments, wire, lambda: app.call_tool(name, arguments, wire))

    async def load() -> "Behind":
        from mcp_tool.serve.sdk import server as sdk

        side = sdk.side(app, answer, told.tool, contract, config, log_level)
        inner = side.application(config.serve)
        await held.enter(inner.router.lifespan_context(inner))
        return side.behind(inner)

    async def behind() -> "Behind":
        if not loading:
            loading.append(asyncio.get_running_loop().create_task(load()))
        return await asyncio.shield(loading[0])

    async def everything(scope: Scope, receive: Receive, send: Send) -> None:
        await (await behind()).inner(scope, receive, send)

    if config.telemetry is not None:
        return everything  # the SDK's spans are wanted
    kept = ready(contract, listen=config.serve.listen)
    return Direct(config.serve.path, _plain(contract), answer, log_level, kept, stamp(contract), behind)


def _plain(contract: Mapping[str, Any]) -> frozenset[str]:
    """The tools none of whose arguments can be repeated in a header; the SDK knows the others."""
    schemas = {entry["name"]: entry["definition"].get("inputSchema") or {} for entry in contract["tools"]}
    return frozenset(name for name, schema in schemas.items() if '"x-mcp-header"' not in json.dumps(schema))

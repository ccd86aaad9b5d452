"""The seam: a function of the author's, arguments as they came, and a request; nothing of transports or the SDK."""

import asyncio
import logging
import math
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp_tool import results
from mcp_tool.asking import InputRequired
from mcp_tool.context import Context
from mcp_tool.errors import ToolError
from mcp_tool.plans import Call
from mcp_tool.principal import Principal
from mcp_tool.record import Record
from mcp_tool.resolving import Filling, fill
from mcp_tool.running import CrashError, Runner
from mcp_tool.wire import MODERN, Wire

logger = logging.getLogger("mcp_tool.call")

_ROUNDS = 10
"""How often a call may ask by hand over a connection that stays open, before it counts as a loop."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls functions of one app.

    Attributes:
        run: Where plain functions run.
        provided: What was made at the start, by its source.
    """

    run: Runner
    provided: Mapping[Any, Any]

    async def __call__(self, call: Call, arguments: Mapping[str, Any], wire: Wire, limit: float = math.inf) -> Any:
        """Validate, resolve, run.

        Args:
            call: The function.
            arguments: As the client sent them.
            wire: The request.
            limit: Seconds that the function itself may take, where that is less than the runner's limit for each
                function; what is asked before does not count.

        Returns:
            What the function returned, or `InputRequired` with the questions of its resolvers.

        Raises:
            ArgumentsError, ToolError, RpcError: See there.
            Exception: Whatever the author's code raised.
        """
        values = call.inputs.values(arguments)
        for _ in range(_ROUNDS):
            result = await self._round(call, values, wire, limit)
            if not isinstance(result, InputRequired) or wire.protocol_version >= MODERN:
                return result
            wire = await _answered(result, wire)
        msg = f"the call asked {_ROUNDS} times and is not done"
        raise ToolError(msg)

    async def _round(self, call: Call, values: Mapping[str, Any], wire: Wire, limit: float) -> Any:
        if not call.roles or all(name in values for name in call.roles):
            return await self.run(call.function, values, limit)
        name = getattr(call.function, "__name__", None)
        filling = Filling(Context(wire, asyncio.get_running_loop(), name), wire, self.provided, self.run)
        filled = await fill(call.roles, call.resolvers, values, filling)
        if isinstance(filled, InputRequired):
            return filled
        result = await self.run(call.function, {**values, **filled}, limit)
        if isinstance(result, InputRequired) and call.resolvers.by_identity:
            # A call has one state to send around: resolvers and the function would overwrite each other's.
            msg = "the function returned InputRequired, and its parameters use Resolve(…)"
            raise RuntimeError(msg)
        return result


async def _answered(asked: InputRequired, wire: Wire) -> Wire:
    """The request of the next round, with the answers to what was asked by hand, for older protocol versions."""
    if not wire.can_ask:
        msg = "this call has to ask its user, which this connection does not allow"
        raise ToolError(msg)
    answers = {}
    for key, question in asked.questions.items():
        request = results.request(question)
        answers[key] = await wire.ask(request["method"], request.get("params", {}))
    return _Round(wire, answers, asked.state)


@dataclass(frozen=True, slots=True)
class _Round:
    """A request with other answers; all else is the first request's."""

    first: Wire
    input_responses: Mapping[str, Any]
    request_state: str | None

    @property
    def request_id(self) -> str | int | None:
        return self.first.request_id

    @property
    def protocol_version(self) -> str:
        return self.first.protocol_version

    @property
    def principal(self) -> Principal | None:
        return self.first.principal

    @property
    def record(self) -> Record | None:
        return self.first.record

    @property
    def headers(self) -> Mapping[str, str] | None:
        return self.first.headers

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        return self.first.client_capabilities

    @property
    def can_ask(self) -> bool:
        return self.first.can_ask

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        await self.first.progress(progress, total, message)

    async def log(self, level: str, data: Any, logger: str | None = None) -> None:
        await self.first.log(level, data, logger)

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        return await self.first.ask(method, params)

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        await self.first.notify(method, params)


def crash(what: str, error: BaseException, scrub: "Scrub") -> None:
    """Log a crash of the author's code with its traceback, secrets blotted out."""
    cause = error.__cause__ if isinstance(error, CrashError) and error.__cause__ is not None else error
    trace = scrub("".join(traceback.format_exception(cause)))
    logger.error("%s crashed: %s", what, type(cause).__name__, extra={"fields": {"traceback": trace}})


@dataclass(frozen=True, slots=True)
class Scrub:
    """Blots the secrets' values out of a text. Values of fewer than four characters would blot out too much."""

    secrets: tuple[str, ...] = ()

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        for secret in self.secrets:
            if len(secret) >= 4:
                text = text.replace(secret, "***")
        return text

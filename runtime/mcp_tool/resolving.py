"""Running the resolvers of one call, in both protocol eras.

From 2026-07-28 on, questions are returned all at once, and the client calls again with the answers; what was
answered in earlier rounds travels in the request state. Before, each question is put while the call waits.
Resolvers run again in each round: a recorded answer counts only where its very question is asked again.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mcp_tool import questions
from mcp_tool.asking import QUESTIONS, Accepted, Cancelled, Declined, InputRequired, Outcome, Question
from mcp_tool.context import Client, Context
from mcp_tool.errors import RpcError, ToolError
from mcp_tool.resolvers import Identity, Resolver, Resolvers, identity
from mcp_tool.roles import FromCall, FromCaller, FromResolver, FromSource, Role
from mcp_tool.wire import MODERN, Wire

Run: TypeAlias = Callable[[Callable[..., Any], Mapping[str, Any]], Awaitable[Any]]
"""Calls a plain or async function of the author's off or on the event loop."""

INVALID_PARAMS = -32602
_STATE_VERSION = 1


class _Pending(Exception):  # noqa: N818 - no error: the value is not there yet
    """A value waits for an answer that comes with the next round."""


@dataclass(frozen=True, slots=True)
class Filling:
    """What parameters of one call are filled from."""

    context: Context
    wire: Wire
    provided: Mapping[Any, Any]
    run: Run


@dataclass(frozen=True, slots=True)
class _State:
    """What earlier rounds left: answers as the client sent them, and digests of what was asked last."""

    answers: Mapping[str, Any] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)


async def fill(
    roles: Mapping[str, Role], resolvers: Resolvers, arguments: Mapping[str, Any], filling: Filling
) -> dict[str, Any] | InputRequired:
    """Values for every parameter that the caller does not give.

    Args:
        roles: The function's parameters.
        resolvers: Its resolvers.
        arguments: The validated arguments.
        filling: What else there is.

    Returns:
        Values by parameter, or the questions of this round.

    Raises:
        ToolError: The user declined, or nobody can be asked.
        RpcError: The client lacks a capability, or its answer is malformed.
    """
    round_ = _Round(resolvers, arguments, filling)
    values: dict[str, Any] = {}
    for name, role in roles.items():
        if not isinstance(role, FromCaller):
            try:
                values[name] = await round_.value(name, role)
            except _Pending:
                continue
    return round_.asks() or values


class _Round:
    def __init__(self, resolvers: Resolvers, arguments: Mapping[str, Any], filling: Filling) -> None:
        self._resolvers = resolvers
        self._arguments = arguments
        self._filling = filling
        self._modern = filling.wire.protocol_version >= MODERN
        self._state = _decode(filling.wire.request_state) if self._modern else _State()
        self._known: dict[Identity, Outcome[Any]] = {}
        self._kept: dict[str, Any] = {}
        self._pending: dict[str, questions.Request] = {}

    def asks(self) -> InputRequired | None:
        """The questions of this round; None where there are none."""
        if not self._pending:
            return None
        asked = {key: request.digest() for key, request in self._pending.items()}
        state = json.dumps(
            {"v": _STATE_VERSION, "answers": self._kept, "asked": asked}, sort_keys=True, separators=(",", ":")
        )
        return InputRequired({key: request.wire() for key, request in self._pending.items()}, state)

    async def value(self, name: str, role: Role) -> Any:
        match role:
            case FromCaller():
                return self._arguments[name]
            case FromCall():
                return self._filling.context
            case FromSource(source=source):
                return self._filling.provided[source]
            case FromResolver(resolve=resolve, outcome=outcome):
                resolved = await self._resolve(self._resolvers.of(resolve))
                return resolved if outcome else _unwrap(resolved, name)

    async def _resolve(self, resolver: Resolver) -> Outcome[Any]:
        own = identity(resolver.function)
        if own in self._known:
            return self._known[own]
        if resolver.key in self._pending:
            raise _Pending
        values: dict[str, Any] = {}
        waiting = False
        for name, role in resolver.roles.items():
            try:
                # Every dependency is visited, so that independent questions go out together.
                values[name] = await self.value(name, role)
            except _Pending:
                waiting = True
        if waiting:
            raise _Pending
        result = await self._filling.run(resolver.function, values)
        asks = isinstance(result, QUESTIONS)
        self._known[own] = await self._put(result, resolver.key) if asks else _as_outcome(result)
        return self._known[own]

    async def _put(self, question: Question, key: str) -> Outcome[Any]:
        """The answer to a question, or `_Pending` once it is noted."""
        wire, client = self._filling.wire, Client(self._filling.wire.client_capabilities)
        missing = questions.missing_capability(question, client)
        reachable = self._modern or wire.can_ask
        if missing is not None or not reachable:
            fallback = questions.default(question)
            if fallback is not None:
                return fallback
            if reachable and missing is not None:
                raise missing
            msg = "this call has to ask its user, which this connection does not allow"
            raise ToolError(msg)
        request = questions.request(question)
        if self._modern:
            return self._later(question, request, key)
        try:
            return questions.answer(question, await wire.ask(request.method, request.params))
        except questions.AnswerError as error:
            raise ToolError(str(error)) from None

    def _later(self, question: Question, request: questions.Request, key: str) -> Outcome[Any]:
        digest = request.digest()
        kept = self._state.answers.get(key)
        if isinstance(kept, Mapping) and kept.get("q") == digest:
            outcome = _quietly(question, kept.get("result"))
            if outcome is not None:
                self._kept[key] = dict(kept)
                return outcome
        given = self._filling.wire.input_responses.get(key)
        if given is None or self._state.asked.get(key) != digest:
            self._pending[key] = request
            raise _Pending
        try:
            outcome = questions.answer(question, given)
        except questions.AnswerError as error:
            raise RpcError(INVALID_PARAMS, f"inputResponses[{key!r}]: {error}") from None
        self._kept[key] = {"q": digest, "result": given}
        return outcome


def _quietly(question: Question, result: Any) -> Outcome[Any] | None:
    """A recorded answer; None where it no longer fits, so that the question is asked again."""
    try:
        return questions.answer(question, result)
    except questions.AnswerError:
        return None


def _as_outcome(result: Any) -> Outcome[Any]:
    return result if isinstance(result, Accepted | Declined | Cancelled) else Accepted(result)


def _unwrap(outcome: Outcome[Any], name: str) -> Any:
    match outcome:
        case Accepted(data=data):
            return data
        case Declined():
            msg = f"the user declined to give {name!r}"
        case Cancelled():
            msg = f"the user was asked for {name!r} and turned away"
    raise ToolError(msg)


def _decode(state: str | None) -> _State:
    """The state of earlier rounds. It arrives verified; what does not fit is from another release of the tool."""
    try:
        found = json.loads(state) if state else {}
    except ValueError:
        return _State()
    if not isinstance(found, dict) or found.get("v") != _STATE_VERSION:
        return _State()
    answers, asked = found.get("answers"), found.get("asked")
    return _State(answers if isinstance(answers, dict) else {}, asked if isinstance(asked, dict) else {})

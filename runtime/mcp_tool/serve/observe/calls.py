"""What surrounds every `tools/call`, whoever answers it: this runtime's app, a wrapped server, a test's double.

Scopes, in flight, span, answer, outcome, metrics, audit: around one call, in this order. What goes to the wire is not
touched. Other requests are counted by their method alone, when they are over (`Calls.seen`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mcp_tool.errors import RpcError
from mcp_tool.record import CURRENT, Record
from mcp_tool.serve.http.gates import INVALID_REQUEST
from mcp_tool.serve.observe import log
from mcp_tool.serve.observe.metrics import CALL, CANCELLED, Metrics, Operation
from mcp_tool.wire import Wire

if TYPE_CHECKING:
    from mcp_tool.serve.observe.audit import Audit

Answer = Callable[[], Awaitable[dict[str, Any]]]
"""Gives a call's result in wire form."""

AUDITED: Final = frozenset({401, 403, 429})
"""Refusals that say something about who calls, by HTTP status."""

_MOST_LEARNED: Final = 500
_INTERNAL_ERROR: Final = "-32603"


@dataclass(frozen=True, slots=True)
class _Tool:
    """What is known of a tool before it is called. The unknown ones are one, without a name."""

    name: str
    scopes: frozenset[str]
    operation: Operation


@dataclass
class Calls:
    """Surrounds calls, and notes requests that are over.

    Attributes:
        scopes: The tools that there are, with the OAuth scopes of each; None where nobody knows before they answer,
            as with a server written with another library that has no contract.
        metrics: Counts; None where nobody collects.
        audit: The audit stream; None where there is none.
        trace: Told of each call when it begins, inside the span that it belongs to, whose ids the record learns; None
            where nobody collects traces.
    """

    scopes: Mapping[str, frozenset[str]] | None = None
    metrics: Metrics | None = None
    audit: "Audit | None" = None
    trace: Callable[[Record], None] | None = None
    export: Callable[[str, str, str, float], None] | None = None
    _tools: dict[str, _Tool] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Know every tool before the first call."""
        unknown = Operation(CALL) if self.metrics is None else self.metrics.unknown
        self._unknown = _Tool("", frozenset(), unknown)
        for name, scopes in (self.scopes or {}).items():
            self._know(name, scopes)

    async def __call__(self, name: str, arguments: Mapping[str, Any], wire: Wire, answer: Answer) -> dict[str, Any]:
        """The result of `answer`, seen.

        Raises:
            RpcError: The caller lacks scopes of the tool; or as `answer` raised it.
        """
        record = wire.record or Record(transport="process")
        tool = self._tools.get(name, self._unknown)
        record.method, record.tool, record.counted = CALL, tool.name, True
        if tool.scopes and not record.principal.may(tool.scopes):
            raise self._refused(record, tool, arguments)
        operation, before = tool.operation, record.seconds
        operation.in_flight += 1
        token = CURRENT.set(record)
        try:
            if self.trace is not None:
                self.trace(record)
            result = await answer()
        except RpcError as error:
            record.outcome, record.error_type = "failed", record.error_type or str(error.code)
            raise
        except asyncio.CancelledError:
            record.outcome = "gone"
            raise
        except BaseException:
            record.outcome, record.error_type = "failed", record.error_type or _INTERNAL_ERROR
            raise
        else:
            self._ended(record, result)
            if not tool.name and self.scopes is None and record.outcome == "ok":
                self._learn(name, record)
            return result
        finally:
            CURRENT.reset(token)
            operation.in_flight -= 1
            self._observe(self._tools.get(record.tool, tool).operation, record, record.seconds - before)
            self._write_down(record, arguments)

    def seen(self, record: Record) -> None:
        """A request is over: count it unless that is done, and write its line. Health requests do not come here."""
        if record.refused:
            record.outcome = "refused"
        elif not record.outcome:
            record.outcome = "failed" if record.status >= 400 else "ok"
        if record.outcome == "failed":
            record.error_type = record.error_type or (str(record.status) if record.status >= 400 else _INTERNAL_ERROR)
        if not record.counted:
            record.counted = True
            self._count(record)
        log.request(record)

    def _count(self, record: Record) -> None:
        if self.metrics is not None:
            if record.refused:
                self.metrics.reject(record.refused)
            elif record.method:
                found = self.metrics.unknown if record.method == CALL else self.metrics.method(record.method)
                self._observe(found, record, record.seconds)
        if record.refused and record.status in AUDITED:
            self._write_down(record)

    def _write_down(self, record: Record, arguments: Mapping[str, Any] | None = None) -> None:
        """Audit a call with its arguments, or a request that was refused before it was one."""
        if self.audit is None:
            return
        try:
            if arguments is None:
                self.audit.refused(record)
            else:
                self.audit.call(record, arguments)
        except Exception:  # noqa: BLE001 - an answer that is there is given, whatever is wrong with a sink
            log.logger.exception("an entry of the audit stream is missing")

    def _observe(self, operation: Operation, record: Record, seconds: float) -> None:
        failure = CANCELLED if record.outcome == "gone" else record.error_type
        operation.observe(seconds, failure)
        if self.export is not None:
            self.export(operation.method, operation.tool, failure, seconds)

    def _ended(self, record: Record, result: Mapping[str, Any]) -> None:
        if result.get("isError") is True:
            # Whoever answers may have said what kind it is; a server of another library has no word for it.
            kind = "tool_error" if record.tool or self.scopes is None else "unknown_tool"
            record.outcome, record.error_type = "error", record.error_type or kind
        elif result.get("resultType") == "input_required":
            record.outcome = "asked"
        else:
            record.outcome = "ok"

    def _refused(self, record: Record, tool: _Tool, arguments: Mapping[str, Any]) -> RpcError:
        record.refused, record.outcome = "forbidden", "refused"
        if self.metrics is not None:
            self.metrics.reject("forbidden")
        self._write_down(record, arguments)
        wanted = sorted(tool.scopes)
        return RpcError(INVALID_REQUEST, f"This tool needs the scope {' '.join(wanted)}", {"scopes": wanted})

    def _know(self, name: str, scopes: frozenset[str]) -> None:
        operation = Operation(CALL, name) if self.metrics is None else self.metrics.add(name)
        self._tools[name] = _Tool(name, scopes, operation)

    def _learn(self, name: str, record: Record) -> None:
        """There is such a tool: it answered."""
        if len(self._tools) < _MOST_LEARNED:
            self._know(name, frozenset())
            record.tool = name

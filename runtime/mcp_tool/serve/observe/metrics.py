"""What is counted of a running server, and its text form for Prometheus (exposition format 0.0.4).

Counting is adding to plain numbers on the event loop's thread: nothing is looked up by label, locked or made while a
call runs. Names follow the GenAI and MCP semantic conventions, spelled for Prometheus. No label holds what a client
may choose: a tool that does not exist is counted under the empty name, an unknown method as `_OTHER`.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

BUCKETS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds; those of `mcp.server.operation.duration` in the semantic conventions."""

OTHER: Final = "_OTHER"
"""What the semantic conventions call a value that is none of the known ones."""

CALL: Final = "tools/call"
METHODS: Final = frozenset(
    {
        "completion/complete",
        "initialize",
        "logging/setLevel",
        "ping",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/subscribe",
        "resources/templates/list",
        "resources/unsubscribe",
        "server/discover",
        "subscriptions/listen",
        CALL,
        "tools/list",
        "notifications/cancelled",
        "notifications/initialized",
        "notifications/progress",
        "notifications/roots/list_changed",
    }
)

REASONS: Final = (
    "busy",
    "draining",
    "forbidden",
    "host",
    "issuer",
    "malformed",
    "method",
    "origin",
    "rate",
    "too_large",
    "too_slow",
    "unauthenticated",
)
ERRORS: Final = ("arguments", "crash", "timeout", "tool_error")
"""There from the start with 0, so that the first failure is seen as a rise."""

CANCELLED: Final = "cancelled"
"""The `error_type` of calls whose client did not wait for the end: the tool did nothing wrong, so it is no error."""

_MOST_ERRORS: Final = 20
"""Different `error_type`s of one tool; an author may raise any JSON-RPC code."""


class Durations:
    """One histogram series: how many took how long."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class Operation:
    """One method, or one tool of `tools/call`: its durations by error type, and what is in flight."""

    method: str
    tool: str = ""
    in_flight: int = 0
    durations: dict[str, Durations] = field(default_factory=dict)

    def observe(self, seconds: float, error_type: str = "") -> None:
        """Count one that took so long and ended so; "" is a good end."""
        found = self.durations.get(error_type)
        if found is None:
            if len(self.durations) >= _MOST_ERRORS:
                error_type = OTHER
            found = self.durations.setdefault(error_type, Durations())
        found.observe(seconds)

    @property
    def calls(self) -> int:
        """How many ended."""
        return sum(sum(series.counts) for series in self.durations.values())


@dataclass(frozen=True)
class Gauge:
    """A number that somebody else knows.

    Attributes:
        name: As it stands in the text form.
        words: What it is, for `# HELP`.
        read: Gives it; None where this system does not tell.
        kind: "gauge" or "counter".
    """

    name: str
    words: str
    read: Callable[[], float | None]
    kind: str = "gauge"


class Metrics:
    """Everything that is counted.

    Args:
        tools: The contract's tools; each is there from the start.
        info: What `mcp_tool_info` says of this server.
    """

    def __init__(self, tools: Iterable[str], info: Mapping[str, str]) -> None:
        self.info = dict(info)
        self.tools: dict[str, Operation] = {}
        for name in sorted(tools):
            self.add(name)
        self.unknown = Operation(CALL)
        self.methods: dict[str, Operation] = {}
        self.rejections = dict.fromkeys(REASONS, 0)
        self.gauges: list[Gauge] = []

    def add(self, name: str) -> Operation:
        """The operation of a tool; it is shown from now on."""
        found = self.tools.get(name)
        if found is None:
            found = self.tools[name] = Operation(CALL, name, durations={"": Durations()})
        return found

    def method(self, name: str) -> Operation:
        """The operation of a method other than `tools/call`."""
        name = name if name in METHODS else OTHER
        found = self.methods.get(name)
        if found is None:
            found = self.methods[name] = Operation(name)
        return found

    def reject(self, reason: str) -> None:
        """Count a request that was refused before it reached a tool."""
        self.rejections[reason] = self.rejections.get(reason, 0) + 1

    def operations(self) -> Iterator[Operation]:
        """All that was or may be called."""
        yield from self.tools.values()
        if self.unknown.durations:
            yield self.unknown
        yield from sorted(self.methods.values(), key=lambda operation: operation.method)


def text(metrics: Metrics) -> str:
    """All of it in the text form."""
    return "\n".join(_lines(metrics)) + "\n"


def _lines(metrics: Metrics) -> Iterator[str]:
    name = "mcp_server_operation_duration_seconds"
    yield from _head(name, "histogram", "How long MCP requests took, by method, tool and how they ended.")
    for operation in metrics.operations():
        for error_type, series in sorted(operation.durations.items()):
            yield from _histogram(name, operation, error_type, series)
    called = [*metrics.tools.values(), *([metrics.unknown] if metrics.unknown.durations else [])]
    yield from _head("mcp_tool_calls_total", "counter", "Tool calls that ended.")
    for operation in called:
        yield _sample("mcp_tool_calls_total", {"gen_ai_tool_name": operation.tool}, operation.calls)
    yield from _head("mcp_tool_errors_total", "counter", "Tool calls that ended in an error, by its type.")
    for operation in called:
        for error_type, count in sorted(_errors(operation).items()):
            labels = {"gen_ai_tool_name": operation.tool, "error_type": error_type}
            yield _sample("mcp_tool_errors_total", labels, count)
    yield from _head("mcp_tool_calls_in_flight", "gauge", "Tool calls that run now.")
    for operation in called:
        yield _sample("mcp_tool_calls_in_flight", {"gen_ai_tool_name": operation.tool}, operation.in_flight)
    yield from _head("mcp_server_rejections_total", "counter", "Requests refused before they reached a tool.")
    for reason, count in sorted(metrics.rejections.items()):
        yield _sample("mcp_server_rejections_total", {"reason": reason}, count)
    for gauge in metrics.gauges:
        value = gauge.read()
        if value is not None:
            yield from _head(gauge.name, gauge.kind, gauge.words)
            yield _sample(gauge.name, {}, value)
    yield from _head("mcp_tool_info", "gauge", "Which server this is.")
    yield _sample("mcp_tool_info", metrics.info, 1)


def _errors(operation: Operation) -> dict[str, int]:
    fine = {"", CANCELLED}
    counts = {kind: sum(series.counts) for kind, series in operation.durations.items() if kind not in fine}
    return dict.fromkeys(ERRORS, 0) | counts if operation.tool else counts


def _histogram(name: str, operation: Operation, error_type: str, series: Durations) -> Iterator[str]:
    labels = {"mcp_method_name": operation.method, "gen_ai_tool_name": operation.tool, "error_type": error_type}
    seen = 0
    for bound, count in zip((*BUCKETS, None), series.counts, strict=True):
        seen += count
        yield _sample(f"{name}_bucket", {**labels, "le": "+Inf" if bound is None else str(bound)}, seen)
    yield _sample(f"{name}_sum", labels, series.total)
    yield _sample(f"{name}_count", labels, seen)


def _head(name: str, kind: str, words: str) -> tuple[str, str]:
    return f"# HELP {name} {words}", f"# TYPE {name} {kind}"


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    # A label without a value is the same as none.
    inside = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items() if label)
    return f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

"""What a config asks to be seen of a server, made once at the start and ended once at the end."""

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp_tool.config import AuditFile, Config
from mcp_tool.serve.observe import log
from mcp_tool.serve.observe.calls import Calls
from mcp_tool.serve.observe.metrics import Gauge, Metrics
from mcp_tool.serve.problem import StartProblem

if TYPE_CHECKING:
    from mcp_tool.serve.observe.audit import Audit, Sink
    from mcp_tool.serve.observe.tracing import Tracing

Export = Callable[[str, str, str, float], None]
"""Takes method, tool, error type and seconds of an operation that is over."""

Application = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Seeing:
    """Everything that looks at the server.

    Attributes:
        config: Where the server runs.
        calls: What surrounds every call, and notes every request that is over.
        metrics: What is counted; None where nobody collects.
        tracing: Exports to a collector; None where there is none.
    """

    config: Config
    calls: Calls
    metrics: Metrics | None = None
    tracing: "Tracing | None" = None

    def around(self, inner: Application) -> Application:
        """The application inside the trace that an HTTP request says it belongs to."""
        return inner if self.tracing is None else self.tracing.around(inner)

    def flush(self) -> None:
        """Export what there is now, where the process may be frozen at any time."""
        if self.tracing is not None:
            self.tracing.flush()

    @contextlib.asynccontextmanager
    async def exporting(self) -> AsyncIterator[None]:
        """Export what is left at the end of the block."""
        try:
            yield
        finally:
            if self.tracing is not None:
                self.tracing.close()

    @contextlib.asynccontextmanager
    async def collected(
        self, ready: Callable[[], Awaitable[bool]], lost_threads: Callable[[], int]
    ) -> AsyncIterator[None]:
        """Serve metrics while the block runs, where the config names a port.

        Args:
            ready: Whether the server takes requests; asked at each look at the metrics.
            lost_threads: Threads that a tool holds past its time.
        """
        if self.metrics is None or self.config.metrics is None:
            yield
            return
        from mcp_tool.serve.observe import metrics_http, metrics_process
        from mcp_tool.serve.observe.metrics import text

        counted, settings, lag = self.metrics, self.config.metrics, metrics_http.Lag()
        is_ready = False

        async def shown() -> str:
            nonlocal is_ready
            is_ready = await ready()
            return text(counted)

        counted.gauges += [
            Gauge("mcp_server_lost_threads", "Threads that a tool holds past its time.", lost_threads),
            Gauge("mcp_server_event_loop_lag_seconds", "Worst recent lag of the event loop.", lambda: lag.seconds),
            Gauge("mcp_server_ready", "Whether the server takes requests.", lambda: int(is_ready)),
            Gauge("mcp_server_log_lines_lost_total", "Log lines that nobody read in time.", log.lost, "counter"),
            *metrics_process.gauges(),
        ]
        with lag.measured():
            async with metrics_http.serving(settings.host, settings.port, shown):
                yield


def seeing(config: Config, tool: Mapping[str, Any], contract: Mapping[str, Any] | None) -> Seeing:
    """What the config asks for.

    Args:
        config: Where the server runs.
        tool: The `tool.json` document.
        contract: The contract document; None for a server written with another library that was not built.

    Raises:
        StartProblem: The audit file cannot be opened, or what telemetry needs is not installed.
    """
    tools = {entry["name"]: entry for entry in (contract or {}).get("tools", ())}
    scopes = None if contract is None else {name: frozenset(entry.get("scopes", ())) for name, entry in tools.items()}
    server = {"service": tool["name"], "version": tool.get("version") or "", "stage": config.stage}
    metrics = tracing = None
    if config.metrics is not None or config.telemetry is not None or config.emf is not None:
        info = {**server, "contract": (contract or {}).get("hash", ""), "target": config.target}
        metrics = Metrics(tools, info)
    if config.telemetry is not None and metrics is not None and os.environ.get("OTEL_SDK_DISABLED") != "true":
        from mcp_tool.serve.observe import tracing as tracings

        prompts = [entry["name"] for entry in (contract or {}).get("prompts", ())]
        tracing = tracings.start(config.telemetry, server, metrics, prompts)
    calls = Calls(
        scopes,
        metrics,
        _audit(config, server, tools, tracing),
        trace=None if tracing is None else tracing.call,
        export=_export(config, tool["name"], None if tracing is None else tracing.durations),
    )
    return Seeing(config, calls, metrics, tracing)


def _export(config: Config, service: str, traced: Export | None) -> Export | None:
    """Whom every operation's end is told: a collector, CloudWatch, both or nobody."""
    if config.emf is None:
        return traced
    from mcp_tool.serve.aws.emf import Embedded

    embedded = Embedded(config.emf.namespace, service, config.stage)
    if traced is None:
        return embedded

    def both(method: str, tool: str, error_type: str, seconds: float) -> None:
        embedded(method, tool, error_type, seconds)
        traced(method, tool, error_type, seconds)

    return both


def _audit(
    config: Config, server: Mapping[str, Any], tools: Mapping[str, Mapping[str, Any]], tracing: "Tracing | None"
) -> "Audit | None":
    sink = _sink(config, tracing)
    if sink is None:
        return None
    from mcp_tool.serve.observe.audit import Audit, Audited
    from mcp_tool.serve.observe.redact import Redaction

    known = {
        name: Audited(entry["sha256"], Redaction(entry["definition"].get("inputSchema") or {}))
        for name, entry in tools.items()
    }
    keys = [key for reference in config.serve.state_keys if (key := reference.read())]
    return Audit(sink, {**server, "release": config.release}, keys, known)


def _sink(config: Config, tracing: "Tracing | None") -> "Sink | None":
    match config.log.audit:
        case "none":
            return None
        case "stderr":
            return log.line
        case "otlp":
            return None if tracing is None else tracing.entry
        case AuditFile(file=path):
            from mcp_tool.serve.observe.audit import FileSink
            from mcp_tool.serve.observe.log_file import LogFile

            try:
                return FileSink(LogFile(path))
            except OSError as error:
                raise StartProblem(
                    f"the audit file {path} cannot be written: {error.strerror or error}",
                    "let the server write there, or name another place for the audit stream",
                ) from None

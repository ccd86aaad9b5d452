"""Traces, metrics and audit entries for an OpenTelemetry collector, over OTLP/HTTP. Imported only where one is set.

The spans are the SDK's (`mcp.server._otel`: one SERVER span a message, named by the semantic conventions); here they
get a provider, a parent and bounds. The SDK takes the parent from the message's `_meta`; where there is none, the
span nests under the `traceparent` of the HTTP request; where both are, the HTTP one becomes a link, as the conventions
say. The SDK puts what the client calls the tool into the span's name; unless there is such a tool, it is taken out.

Every export happens on threads of the exporter, from queues with an end: a collector that is down costs no call
anything, one log line a minute, and at most `FLUSH` seconds at the end of the process. `OTEL_*` variables have their
usual meaning and go before the config.
"""

import contextlib
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from mcp_tool.config import Telemetry
from mcp_tool.record import CURRENT, Record
from mcp_tool.serve.observe import log
from mcp_tool.serve.observe.metrics import BUCKETS, METHODS, OTHER, Metrics
from mcp_tool.serve.problem import StartProblem

try:
    from opentelemetry import context as contexts
    from opentelemetry import metrics as metrics_api
    from opentelemetry import propagate, trace
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import Span, SpanLimits, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased
except ImportError as error:
    raise StartProblem(
        f"telemetry is set, and what it needs is not installed: {error.name}",
        "build again with [serve.telemetry] in the manifest, or add mcp-tool-runtime[otel] to the dependencies",
    ) from None

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]

FLUSH: Final = 2.0
"""Seconds that the collector gets at the end of the process."""

_SDK: Final = "mcp-python-sdk"
_NAMES: Final = ("gen_ai.tool.name", "gen_ai.prompt.name")
_LONGEST: Final = 256
"""Characters of an attribute, unless `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT` says otherwise; some are the client's."""

_came: ContextVar[trace.SpanContext | None] = ContextVar("mcp_tool.traceparent", default=None)
"""What the HTTP request said of its span."""


@dataclass(frozen=True)
class Tracing:
    """The providers of one process.

    Attributes:
        durations: Takes method, tool, error type and seconds of every operation that is over.
        entry: Takes one entry of the audit stream.
        flush: Exports what there is now; returns within `FLUSH` seconds.
        close: Exports what is left; returns within `FLUSH` seconds.
    """

    durations: Callable[[str, str, str, float], None]
    entry: Callable[[Mapping[str, Any]], None]
    flush: Callable[[], None]
    close: Callable[[], None]

    def around(self, inner: Application) -> Application:
        """The application inside the trace that an HTTP request says it belongs to."""

        async def traced(scope: Scope, receive: Any, send: Any) -> None:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            context = propagate.extract(headers)
            came = trace.get_current_span(context).get_span_context()
            if not came.is_valid:
                await inner(scope, receive, send)
                return
            token, marked = contexts.attach(context), _came.set(came)
            try:
                await inner(scope, receive, send)
            finally:
                _came.reset(marked)
                contexts.detach(token)

        return traced

    def call(self, record: Record) -> None:
        """A call begins, inside its span: the record learns its ids."""
        _learn(record, trace.get_current_span().get_span_context())


def start(telemetry: Telemetry, server: Mapping[str, str], metrics: Metrics, prompts: Iterable[str]) -> Tracing:
    """Begin to export.

    Args:
        telemetry: Where to.
        server: `service`, `version` and `stage`.
        metrics: What is counted; the part that is no duration is read from here at each export.
        prompts: The contract's prompts, whose names may stand in spans.
    """
    log.rarely("opentelemetry", "urllib3")
    resource = _resource(server)
    own_limit = None if "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT" in os.environ else _LONGEST
    tracers = TracerProvider(
        sampler=_sampler(telemetry.sample),
        resource=resource,
        shutdown_on_exit=False,
        span_limits=SpanLimits(max_span_attribute_length=own_limit),
    )
    tracers.add_span_processor(_Bounded(metrics, frozenset(prompts)))
    tracers.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=_endpoint(telemetry, "TRACES", "v1/traces")))
    )
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=_endpoint(telemetry, "METRICS", "v1/metrics")))
    meters = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
    loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
    loggers.add_log_record_processor(
        BatchLogRecordProcessor(OTLPLogExporter(endpoint=_endpoint(telemetry, "LOGS", "v1/logs")))
    )
    trace.set_tracer_provider(tracers)
    metrics_api.set_meter_provider(meters)
    durations = _instruments(meters, metrics)
    stream = loggers.get_logger("mcp_tool.audit")

    def entry(document: Mapping[str, Any]) -> None:
        stream.emit(timestamp=time.time_ns(), body=dict(document), event_name="mcp_tool.audit")

    return Tracing(durations, entry, lambda: _flush(tracers, meters, loggers), lambda: _close(tracers, meters, loggers))


def _endpoint(telemetry: Telemetry, signal: str, path: str) -> str | None:
    """Where a signal goes; None where the environment says so, which the exporter reads itself."""
    if "OTEL_EXPORTER_OTLP_ENDPOINT" in os.environ or f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT" in os.environ:
        return None
    return f"{telemetry.otlp.rstrip('/')}/{path}"


def _resource(server: Mapping[str, str]) -> Resource:
    ours = {
        "service.name": server["service"],
        "service.version": server["version"],
        "deployment.environment.name": server["stage"],
    }
    theirs = OTELResourceDetector().detect().attributes
    return Resource.create({name: value for name, value in ours.items() if value and name not in theirs})


def _sampler(sample: float) -> Sampler | None:
    """The share of new traces; who has begun a trace decides for all of it. None: as the environment says."""
    return None if "OTEL_TRACES_SAMPLER" in os.environ else ParentBased(TraceIdRatioBased(sample))


class _Bounded(SpanProcessor):
    """Mends the SDK's spans when they begin: names, links, and the ids for the log."""

    def __init__(self, metrics: Metrics, prompts: frozenset[str]) -> None:
        self._metrics, self._prompts = metrics, prompts

    def on_start(self, span: Span, parent_context: contexts.Context | None = None) -> None:  # noqa: ARG002 - the SDK calls it so
        """Called by the SDK for every span, on the thread that begins it."""
        scope = span.instrumentation_scope
        if scope is None or scope.name != _SDK or span.kind is not trace.SpanKind.SERVER:
            return
        self._rename(span)
        came, parent = _came.get(), span.parent
        if came is not None and parent is not None and parent.span_id != came.span_id:
            span.add_link(came)
        record = CURRENT.get()
        if record is not None:
            _learn(record, span.get_span_context())

    def _rename(self, span: Span) -> None:
        attributes = span.attributes or {}
        method = attributes.get("mcp.method.name")
        if method not in METHODS:
            span.set_attribute("mcp.method.name", OTHER)
            span.update_name(OTHER)
            return
        known = self._metrics.tools if method == "tools/call" else self._prompts
        target = next((attributes[name] for name in _NAMES if name in attributes), None)
        if target in known:
            return
        span.update_name(str(method))
        for name in _NAMES:
            if name in attributes:
                span.set_attribute(name, OTHER)


def _learn(record: Record, context: trace.SpanContext) -> None:
    if context.is_valid:
        record.trace_id, record.span_id = trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)


def _instruments(meters: MeterProvider, metrics: Metrics) -> Callable[[str, str, str, float], None]:
    """Make the instruments; the one that takes durations."""
    meter = meters.get_meter("mcp_tool")
    histogram = meter.create_histogram(
        "mcp.server.operation.duration",
        unit="s",
        description="How long MCP requests took, by method, tool and how they ended.",
        explicit_bucket_boundaries_advisory=list(BUCKETS),
    )

    def in_flight(options: metrics_api.CallbackOptions) -> Iterable[metrics_api.Observation]:  # noqa: ARG001 - the SDK calls it so
        for operation in list(metrics.tools.values()):
            yield metrics_api.Observation(operation.in_flight, {"gen_ai.tool.name": operation.tool})

    def rejections(options: metrics_api.CallbackOptions) -> Iterable[metrics_api.Observation]:  # noqa: ARG001 - as above
        for reason, count in list(metrics.rejections.items()):
            yield metrics_api.Observation(count, {"reason": reason})

    meter.create_observable_up_down_counter(
        "mcp_tool.calls.in_flight", [in_flight], unit="{call}", description="Tool calls that run now."
    )
    meter.create_observable_counter(
        "mcp_tool.rejections",
        [rejections],
        unit="{request}",
        description="Requests refused before they reached a tool.",
    )

    def durations(method: str, tool: str, error_type: str, seconds: float) -> None:
        attributes = {"mcp.method.name": method}
        if tool:
            attributes |= {"gen_ai.tool.name": tool, "gen_ai.operation.name": "execute_tool"}
        if error_type:
            attributes["error.type"] = error_type
        histogram.record(seconds, attributes)

    return durations


def _flush(tracers: TracerProvider, meters: MeterProvider, loggers: LoggerProvider) -> None:
    _within(FLUSH, (tracers.force_flush, meters.force_flush, loggers.force_flush))


def _close(tracers: TracerProvider, meters: MeterProvider, loggers: LoggerProvider) -> None:
    _within(FLUSH, (tracers.shutdown, meters.shutdown, loggers.shutdown))


def _within(seconds: float, works: Iterable[Callable[[], object]]) -> None:
    """Do these, on threads that are left behind if that takes too long."""
    threads = [threading.Thread(target=_quietly, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


def _quietly(work: Callable[[], object]) -> None:
    with contextlib.suppress(Exception):  # the process ends; there is nobody to tell
        work()

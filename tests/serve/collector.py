"""A collector of OTLP/HTTP: keeps what it is sent, as the protocol's own messages."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_MESSAGES: Mapping[str, Any] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}


@dataclass
class Collector:
    """What came, by path."""

    url: str
    received: list[tuple[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def of(self, path: str) -> list[Any]:
        return [message for where, message in list(self.received) if where == path]

    def spans(self) -> list[Any]:
        """Every span, in the order of its begin."""
        found = [
            span
            for message in self.of("/v1/traces")
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    def resource(self) -> dict[str, Any]:
        """What the server says of itself with its traces."""
        return plain(self.of("/v1/traces")[0].resource_spans[0].resource.attributes)

    def metric(self, name: str) -> Any:
        """The last of that name."""
        found = [
            metric
            for message in self.of("/v1/metrics")
            for resource in message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        ]
        return found[-1]

    def logs(self) -> list[dict[str, Any]]:
        """The body of every log record."""
        return [
            plain(record.body.kvlist_value.values)
            for message in self.of("/v1/logs")
            for resource in message.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]


def plain(attributes: Any) -> dict[str, Any]:
    """Attributes as Python has them."""
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    return plain(value.kvlist_value.values) if kind == "kvlist_value" else getattr(value, kind)


@contextlib.contextmanager
def collector() -> Iterator[Collector]:
    """Collect on a free port until the block ends."""
    found = Collector("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            message = _MESSAGES[self.path]()
            message.ParseFromString(body)
            found.headers.append({name.lower(): value for name, value in self.headers.items()})
            found.received.append((self.path, message))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

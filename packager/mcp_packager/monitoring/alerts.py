"""Prometheus alert rules for one deployment, as a plain rule file and as the operator's ``PrometheusRule``.

Texts of the author's stand in expressions only, quoted: labels and annotations are templates of Prometheus's, and
name a tool by the label that the series brings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from mcp_packager.monitoring.series import (
    BUCKETS,
    CALLS,
    ERRORS,
    KNOWN,
    LOOP_LAG,
    LOST_THREADS,
    READY,
    STARTED,
    TOOL,
    Series,
    any_of,
)
from mcp_packager.monitoring.watched import Watched, WatchedTool

_WINDOW: Final = "5m"
_INSTANCE: Final = "{{ $labels.instance }}"
_TOOL: Final = f"{{{{ $labels.{TOOL} }}}}"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When to raise an alarm. Shares are 0 to 1, ``loop_lag`` is seconds, ``restarts`` counts within half an hour."""

    failing: float = 0.1
    broken: float = 0.5
    busy: float = 0.01
    limited: float = 0.05
    loop_lag: float = 1.0
    restarts: int = 2


@dataclass(frozen=True, slots=True)
class _Alert:
    name: str
    expr: str
    severity: str
    lasting: str
    summary: str
    description: str
    labels: tuple[tuple[str, str], ...] = ()


def prometheus_rules(deployment: Watched, thresholds: Thresholds | None = None) -> dict[str, Any]:
    """The rule file: ``{"groups": [{"name", "rules": [{"alert", "expr", "for", "labels", "annotations"}, …]}, …]}``.

    Times are Prometheus's durations, such as ``10m``. The format is
    https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/.
    """
    chosen = thresholds or Thresholds()
    series = Series(deployment.service, deployment.stage, _WINDOW)
    name = f"mcp-pack {deployment.identity}"
    groups = (
        (f"{name}: tools", (*_failing(series, chosen), *_slow(series, deployment.tools))),
        (f"{name}: server", (*_refusing(series, chosen), *_unwell(series, chosen), *_gone(series))),
    )
    return {
        "groups": [{"name": name, "rules": [_rule(alert, deployment) for alert in alerts]} for name, alerts in groups]
    }


def kubernetes_rules(deployment: Watched, thresholds: Thresholds | None = None) -> dict[str, Any]:
    """The same groups as a ``PrometheusRule`` of the Prometheus operator (``monitoring.coreos.com/v1``).

    It carries no namespace, and no label that a particular Prometheus selects its rules by.
    """
    labels = {
        "app.kubernetes.io/name": deployment.service,
        "app.kubernetes.io/instance": deployment.identity.name(),
        "app.kubernetes.io/managed-by": "mcp-pack",
    }
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": deployment.identity.name("alerts"), "labels": labels},
        "spec": prometheus_rules(deployment, thresholds),
    }


def _rule(alert: _Alert, deployment: Watched) -> dict[str, Any]:
    own = {"severity": alert.severity, "service": deployment.service, "stage": deployment.stage}
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.lasting,
        "labels": {**own, **dict(alert.labels)},
        "annotations": {"summary": alert.summary, "description": alert.description},
    }


def _failing(series: Series, thresholds: Thresholds) -> Iterator[_Alert]:
    ratio = f"{series.rate(ERRORS, KNOWN, by=TOOL)} / {series.rate(CALLS, KNOWN, by=TOOL)}"
    said = "{{ $value | humanizePercentage }} of its calls of the last minutes failed"
    explained = f"{said}. A result with isError counts; {TOOL} and error_type of mcp_tool_errors_total tell more."
    yield _Alert(
        "McpToolFailing", f"{ratio} > {thresholds.failing}", "warning", "10m", f"{_TOOL} fails often", explained
    )
    yield _Alert(
        "McpToolBroken", f"{ratio} > {thresholds.broken}", "critical", "5m", f"{_TOOL} fails more than not", explained
    )


def _slow(series: Series, tools: Sequence[WatchedTool]) -> Iterator[_Alert]:
    """One rule for each timeout. It asks for a bucket's bound: between two of them a quantile is a guess."""
    by_timeout = groupby(sorted(tools, key=lambda tool: (tool.timeout, tool.name)), key=lambda tool: tool.timeout)
    for timeout, group in by_timeout:
        below = [bound for bound in BUCKETS if bound < timeout]
        if not below:
            continue
        names = any_of(tool.name for tool in group)
        yield _Alert(
            "McpToolSlow",
            f"{series.quantile(0.99, f'{TOOL}=~{names}', by=TOOL)} > {below[-1]:g}",
            "warning",
            "10m",
            f"{_TOOL} is slow",
            f"More than one call in a hundred takes longer than {below[-1]:g} s; after {timeout:g} s it is given up.",
            (("timeout", f"{timeout:g}s"),),
        )


def _refusing(series: Series, thresholds: Thresholds) -> Iterator[_Alert]:
    share = "{{ $value | humanizePercentage }} of the calls are refused"
    yield _Alert(
        "McpServerSaturated",
        f"{series.refused_ratio('busy')} > {thresholds.busy}",
        "warning",
        "5m",
        "Calls are refused because the servers are full",
        f"{share}: more at once than `concurrency` under [serve] allows. Add replicas, or raise it.",
    )
    yield _Alert(
        "McpCallersLimited",
        f"{series.refused_ratio('rate')} > {thresholds.limited}",
        "info",
        "15m",
        "Callers run into their rate limit",
        f"{share}: more from one caller than `rate` under [serve] allows.",
    )


def _unwell(series: Series, thresholds: Thresholds) -> Iterator[_Alert]:
    yield _Alert(
        "McpServerLostThreads",
        f"({series.own(LOST_THREADS)}) > 0",
        "warning",
        "5m",
        f"{_INSTANCE} has lost threads to calls that hang",
        "{{ $value }} calls ran past their timeout and cannot be ended; each holds a thread until the process ends.",
    )
    yield _Alert(
        "McpEventLoopBlocked",
        f"max_over_time({LOOP_LAG}[{_WINDOW}]) > {thresholds.loop_lag:g} and on (job, instance) {series.info}",
        "warning",
        "10m",
        f"A tool blocks the event loop of {_INSTANCE}",
        "Everything there waited {{ $value | humanizeDuration }}. The server's log names the tool and its stack.",
    )
    yield _Alert(
        "McpServerRestarting",
        f"changes({STARTED}[30m]) > {thresholds.restarts} and on (job, instance) {series.info}",
        "warning",
        "0s",
        f"{_INSTANCE} starts again and again",
        "It started {{ $value }} times within half an hour; its log and `mcp-pack status` say why it died.",
    )


def _gone(series: Series) -> Iterator[_Alert]:
    yield _Alert(
        "McpServerNotReady",
        f"({series.own(READY)}) == 0",
        "warning",
        "5m",
        f"{_INSTANCE} is not ready",
        "It answers, and its /readyz says no: it starts, a dependency is out of reach, or too many threads are lost.",
    )
    yield _Alert(
        "McpServerDown",
        f"max({series.own(READY)}) == 0",
        "critical",
        "1m",
        "No replica is ready",
        "Clients are refused. /readyz of each replica says why.",
    )
    yield _Alert(
        "McpContractsDiffer",
        f"count(count by (contract) ({series.info})) > 1",
        "warning",
        "15m",
        "The replicas do not show clients the same tools",
        "{{ $value }} contracts are served at once, longer than a roll-out takes: `mcp-pack drift` tells more.",
    )
    yield _Alert(
        "McpServerAbsent",
        f"absent({series.info})",
        "critical",
        "5m",
        "Nothing is heard of the server",
        "No replica has metrics: none runs, none is scraped, or [serve.metrics] is not set.",
    )

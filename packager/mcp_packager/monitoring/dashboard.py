"""A Grafana dashboard for one deployment: an overview, the servers, and a folded row for each tool."""

from __future__ import annotations

from typing import Any, Final

from mcp_packager.monitoring.panels import DATASOURCE, Panel, Query, Row, laid_out
from mcp_packager.monitoring.series import (
    CALLS,
    CPU,
    ERRORS,
    IN_FLIGHT,
    KNOWN,
    LOOP_LAG,
    LOST_LINES,
    LOST_THREADS,
    MEMORY,
    OPEN_FILES,
    READY,
    REJECTIONS,
    STARTED,
    TOOL,
    Series,
    quoted,
)
from mcp_packager.monitoring.watched import Watched
from mcp_packager.target.identity import Alphabet

_SCHEMA: Final = 39
"""Grafana's own number for this form of a dashboard; newer versions of it read older forms."""

_UID: Final = Alphabet(40)
"""The longest uid that Grafana takes: https://grafana.com/docs/grafana/latest/developers/http_api/dashboard/."""

_WINDOW: Final = "$__rate_interval"
_NAMED: Final = f"{{{{{TOOL}}}}}"
_INSTANCE: Final = "{{instance}}"


def dashboard(deployment: Watched) -> dict[str, Any]:
    """The dashboard, ready to be imported, provisioned or sent to Grafana's API; it asks for a Prometheus once."""
    series = Series(deployment.service, deployment.stage, _WINDOW, instances="$instance")
    everywhere = Series(deployment.service, deployment.stage, _WINDOW)
    rows = (_overview(series), _servers(series), *(_tool(series, tool.name) for tool in deployment.tools))
    return {
        "uid": deployment.identity.name(alphabet=_UID),
        "title": f"MCP: {deployment.identity}",
        "description": f"Calls, errors and durations of each tool of {deployment.identity}, made from its contract",
        "tags": ["mcp", "mcp-pack"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [_datasource(), _instance(everywhere)]},
        "annotations": {"list": [_new_contract(everywhere)]},
        "panels": laid_out(rows),
    }


def _overview(series: Series) -> Row:
    contracts = f"count by (version, contract) ({series.info})"
    named = f'label_replace({contracts}, "contract", "$1", "contract", "(.{{12}}).*")'
    panels = (
        Panel("Ready", "Replicas", "short", (_now(series.total(READY), "replicas"),), 4, 4, figure=True),
        Panel("Calls", "Of all tools", "reqps", (_now(series.rate(CALLS), "calls"),), 4, 4, figure=True),
        Panel(
            "Errors",
            "The share of the calls that failed; a result with isError counts",
            "percentunit",
            (_now(series.error_ratio(), "errors"),),
            4,
            4,
            figure=True,
        ),
        Panel("p99", "Of all tools' calls", "s", (_now(series.quantile(0.99), "p99"),), 4, 4, figure=True),
        Panel(
            "Contract",
            "Replicas by version and contract. More than one for long is a roll-out that did not end",
            "short",
            (Query(named, "{{version}} {{contract}}"),),
            8,
            4,
            stacked=True,
        ),
        Panel("Calls", "By tool", "reqps", (Query(series.rate(CALLS, KNOWN, by=TOOL), _NAMED),), 8),
        Panel(
            "Errors",
            "By tool, the share of its calls",
            "percentunit",
            (Query(series.error_ratio(KNOWN, by=TOOL), _NAMED),),
            8,
            ceiling=1,
        ),
        Panel("p99", "By tool", "s", (Query(series.quantile(0.99, KNOWN, by=TOOL), _NAMED),), 8),
        Panel(
            "Refused",
            "Calls and other requests that no tool saw, by reason",
            "reqps",
            (Query(series.rate(REJECTIONS, by="reason"), "{{reason}}"),),
            12,
            stacked=True,
        ),
        Panel(
            "In flight",
            "By tool",
            "short",
            (Query(series.total(f"{IN_FLIGHT}{{{KNOWN}}}", by=TOOL), _NAMED),),
            12,
            stacked=True,
        ),
    )
    return Row("Overview", panels)


def _servers(series: Series) -> Row:
    panels = (
        Panel("CPU", "Cores", "short", (Query(series.rate(CPU, by="instance"), _INSTANCE),)),
        Panel("Memory", "Resident", "bytes", (Query(series.own(MEMORY), _INSTANCE),)),
        Panel("Open files", "Descriptors, sockets among them", "short", (Query(series.own(OPEN_FILES), _INSTANCE),)),
        Panel(
            "Up since", "When the process started", "dateTimeAsIso", (_now(_millis(series), _INSTANCE),), figure=True
        ),
        Panel("Ready", "1: takes calls", "short", (Query(series.own(READY), _INSTANCE),), ceiling=1),
        Panel(
            "Event loop",
            "How late it is; a tool that blocks it holds up every call",
            "s",
            (Query(series.own(LOOP_LAG), _INSTANCE),),
        ),
        Panel(
            "Lost threads",
            "Held by calls that ran past their timeout and cannot be ended",
            "short",
            (Query(series.own(LOST_THREADS), _INSTANCE),),
        ),
        Panel(
            "Lost log lines",
            "A second; whoever reads the log is slower than the server",
            "short",
            (Query(series.rate(LOST_LINES, by="instance"), _INSTANCE),),
        ),
    )
    return Row("Servers", panels)


def _tool(series: Series, name: str) -> Row:
    chosen = f"{TOOL}={quoted(name)}"
    calls, in_flight = series.rate(CALLS, chosen), series.total(f"{IN_FLIGHT}{{{chosen}}}")
    panels = (
        Panel("Calls", "Answered, well or not", "reqps", (Query(calls, "calls"),)),
        Panel(
            "Errors",
            "The share of the calls that failed, by type; tool_error is a result with isError",
            "percentunit",
            (Query(f"{series.rate(ERRORS, chosen, by='error_type')} / on () group_left () {calls}", "{{error_type}}"),),
            stacked=True,
            ceiling=1,
        ),
        Panel(
            "Duration",
            "Half of the calls are faster than p50, 99 of 100 faster than p99",
            "s",
            (Query(series.quantile(0.5, chosen), "p50"), Query(series.quantile(0.99, chosen), "p99")),
        ),
        Panel("In flight", "Calls being answered", "short", (Query(in_flight, "calls"),)),
    )
    return Row(name, panels, folded=True)


def _millis(series: Series) -> str:
    return f"({series.own(STARTED)}) * 1000"


def _now(expr: str, legend: str) -> Query:
    return Query(expr, legend, at_once=True)


def _datasource() -> dict[str, Any]:
    return {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus", "hide": 0}


def _instance(series: Series) -> dict[str, Any]:
    return {
        "type": "query",
        "name": "instance",
        "label": "Replica",
        "datasource": DATASOURCE,
        "query": {"query": f"label_values({series.info}, instance)", "refId": "instances"},
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
        "sort": 1,
        "hide": 0,
    }


def _new_contract(series: Series) -> dict[str, Any]:
    """A mark where replicas begin to show a contract that none showed five minutes before, while others did."""
    now = f"count by (contract) ({series.info})"
    before = f"count by (contract) ({series.info} offset 5m)"
    return {
        "name": "Contract changed",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "orange",
        "target": {"refId": "contracts", "expr": f"({now} unless {before}) and on () count({before})"},
    }

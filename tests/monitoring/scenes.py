"""Made-up series: two replicas that are well, another tool project that is not, and what a change of them adds."""

from __future__ import annotations

from collections.abc import Mapping

from mcp_packager.monitoring import Watched, WatchedTool
from mcp_packager.monitoring.series import BUCKETS, quoted
from mcp_packager.target.identity import Identity

MINUTES = 60
CONTRACT = "c" * 64
WATCHED = Watched(
    Identity("words", "words", "prod"),
    (WatchedTool("count", 60.0), WatchedTool("index", 300.0), WatchedTool("x", 0.01)),
)


def steady(value: float) -> str:
    """The same value at every minute."""
    return f"{value:g}+0x{MINUTES}"


def growing(each: float) -> str:
    """A counter that grows by so much each minute."""
    return f"0+{each:g}x{MINUTES}"


def named(metric: str, instance: str, **labels: str) -> str:
    """A series of one replica."""
    inside = "".join(f",{name}={quoted(value)}" for name, value in labels.items())
    return f'{metric}{{job="mcp",instance="{instance}"{inside}}}'


def info(instance: str, *, service: str = "words", stage: str = "prod", contract: str = CONTRACT) -> str:
    """The information series of one replica."""
    facts = {"service": service, "stage": stage, "contract": contract, "version": "1.0.0", "target": "local"}
    return named("mcp_tool_info", instance, **facts)


def calls(instance: str, tool: str, each: float, *, errors: float = 0, kind: str = "tool_error") -> dict[str, str]:
    """Calls a minute of a tool, and how many of them fail."""
    counted = {named("mcp_tool_calls_total", instance, gen_ai_tool_name=tool): growing(each)}
    if errors:
        counted[named("mcp_tool_errors_total", instance, gen_ai_tool_name=tool, error_type=kind)] = growing(errors)
    return counted


def durations(instance: str, tool: str, within: Mapping[float, float], **labels: str) -> dict[str, str]:
    """A duration histogram: by a bucket's bound, how many calls a minute took at most that long."""
    found: dict[str, str] = {}
    for bound in (*BUCKETS, float("inf")):
        each = max((count for limit, count in within.items() if limit <= bound), default=0.0)
        le = "+Inf" if bound == float("inf") else f"{bound:g}"
        more = {"mcp_method_name": "tools/call", "error_type": "", **labels, "le": le}
        series = named("mcp_server_operation_duration_seconds_bucket", instance, gen_ai_tool_name=tool, **more)
        found[series] = growing(each)
    return found


def well(instance: str) -> dict[str, str]:
    """A replica that nobody needs to look at."""
    return {
        info(instance): steady(1),
        named("mcp_server_ready", instance): steady(1),
        named("mcp_server_lost_threads", instance): steady(0),
        named("mcp_server_log_lines_lost_total", instance): steady(0),
        named("mcp_server_event_loop_lag_seconds", instance): steady(0.002),
        named("process_start_time_seconds", instance): steady(1_790_000_000),
        named("process_cpu_seconds_total", instance): growing(30),
        named("process_resident_memory_bytes", instance): steady(80_000_000),
        named("process_open_fds", instance): steady(20),
        named("mcp_tool_calls_in_flight", instance, gen_ai_tool_name="count"): steady(3),
        **calls(instance, "count", 60),
        **durations(instance, "count", {0.1: 60}),
    }


def ill(instance: str) -> dict[str, str]:
    """Everything wrong at once, with another tool project's server."""
    return {
        info(instance, service="others"): steady(1),
        named("mcp_server_ready", instance): steady(0),
        named("mcp_server_lost_threads", instance): steady(9),
        named("mcp_server_event_loop_lag_seconds", instance): steady(9),
        named("process_start_time_seconds", instance): growing(1000),
        named("mcp_server_rejections_total", instance, reason="busy"): growing(600),
        named("mcp_server_rejections_total", instance, reason="rate"): growing(600),
        **calls(instance, "count", 60, errors=60),
        **durations(instance, "count", {300: 60}),
    }


WELL: Mapping[str, str] = {**well("a:9464"), **well("b:9464"), **ill("z:9464")}

"""Each alert fires when it should and only then: Prometheus itself evaluates the rules over made-up series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mcp_packager.monitoring import prometheus_rules, yaml_text
from tests.monitoring import promtool
from tests.monitoring.scenes import (
    WATCHED,
    WELL,
    calls,
    durations,
    growing,
    info,
    named,
    steady,
)

pytestmark = pytest.mark.real("promtool")

GONE = "_x60"
FAILED = (
    "{} of its calls of the last minutes failed. A result with isError counts; gen_ai_tool_name and error_type of "
    "mcp_tool_errors_total tell more."
)


@dataclass(frozen=True)
class Fired:
    """An alert as it reaches a person."""

    alert: str
    severity: str
    summary: str
    description: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """What differs from a deployment that is well, and what fires half an hour later."""

    name: str
    series: Mapping[str, str]
    fired: tuple[Fired, ...] = ()
    minutes: int = 30


def refused(reason: str, each: float) -> dict[str, str]:
    return {named("mcp_server_rejections_total", "a:9464", reason=reason): growing(each)}


def failing(tool: str, share: str, **labels: str) -> Fired:
    return Fired(
        "McpToolFailing", "warning", f"{tool} fails often", FAILED.format(share), {"gen_ai_tool_name": tool, **labels}
    )


def slow(tool: str, bound: str, timeout: str) -> Fired:
    text = f"More than one call in a hundred takes longer than {bound} s; after {timeout} s it is given up."
    labels = {"gen_ai_tool_name": tool, "timeout": f"{timeout}s"}
    return Fired("McpToolSlow", "warning", f"{tool} is slow", text, labels)


def of_replica(alert: str, summary: str, text: str, **labels: str) -> Fired:
    return Fired(alert, "warning", summary, text, {"job": "mcp", "instance": "a:9464", **labels})


NOT_READY = (
    "It answers, and its /readyz says no: it starts, a dependency is out of reach, or too many threads are lost."
)
SATURATED = (
    "{} of the calls are refused: more at once than `concurrency` under [serve] allows. Add replicas, or raise it."
)
LIMITED = "{} of the calls are refused: more from one caller than `rate` under [serve] allows."
LAG = named("mcp_server_event_loop_lag_seconds", "a:9464")
STARTED = named("process_start_time_seconds", "a:9464")
READY = {name: named("mcp_server_ready", name) for name in ("a:9464", "b:9464")}

CASES = (
    Case("all is well", {}),
    Case(
        "a tool fails often on one replica of two",
        calls("a:9464", "count", 60, errors=24),
        (failing("count", "20%"),),
    ),
    Case(
        "a tool fails more than not, by several types",
        {
            **calls("a:9464", "count", 60, errors=40),
            **calls("a:9464", "count", 60, errors=20, kind="timeout"),
            **calls("b:9464", "count", 60, errors=36, kind="crash"),
        },
        (
            failing("count", "80%"),
            Fired(
                "McpToolBroken",
                "critical",
                "count fails more than not",
                FAILED.format("80%"),
                {"gen_ai_tool_name": "count"},
            ),
        ),
    ),
    Case("a tenth of the calls fails", calls("a:9464", "count", 60, errors=12)),
    Case(
        "many fail, but only for minutes",
        {**calls("a:9464", "count", 60), **calls("b:9464", "count", 60, errors=60)}
        | {
            named(
                "mcp_tool_errors_total", "b:9464", gen_ai_tool_name="count", error_type="tool_error"
            ): "0x25 0+60x5 300x30"
        },
    ),
    Case("clients call a tool that is not there", calls("a:9464", "", 60, errors=60)),
    Case(
        "more than one call in a hundred takes long",
        durations("a:9464", "count", {0.1: 50, 60: 51.7}),
        (slow("count", "30", "60"),),
    ),
    Case("one call in a hundred takes long", durations("a:9464", "count", {0.1: 59, 60: 60})),
    Case("a tool that may take five minutes takes two", durations("a:9464", "index", {120: 60})),
    Case(
        "a tool that may take five minutes takes them",
        durations("a:9464", "index", {300: 60}),
        (slow("index", "120", "300"),),
    ),
    Case(
        "something else than a call is slow",
        durations("a:9464", "count", {300: 600}, mcp_method_name="resources/read"),
    ),
    Case(
        "calls are refused because it is full",
        refused("busy", 30),
        (
            Fired(
                "McpServerSaturated",
                "warning",
                "Calls are refused because the servers are full",
                SATURATED.format("20%"),
            ),
        ),
    ),
    Case(
        "every call is refused",
        {
            **refused("busy", 30),
            **{name: GONE for name in WELL if name.startswith("mcp_tool_calls_total")},
        },
        (
            Fired(
                "McpServerSaturated",
                "warning",
                "Calls are refused because the servers are full",
                SATURATED.format("100%"),
            ),
        ),
    ),
    Case("one call in two hundred is refused", refused("busy", 0.6)),
    Case(
        "callers run into their limit",
        refused("rate", 30),
        (Fired("McpCallersLimited", "info", "Callers run into their rate limit", LIMITED.format("20%")),),
    ),
    Case("a caller runs into its limit now and then", refused("rate", 5)),
    Case("callers show no key", refused("unauthenticated", 600)),
    Case(
        "threads are lost",
        {named("mcp_server_lost_threads", "a:9464"): steady(2)},
        (
            of_replica(
                "McpServerLostThreads",
                "a:9464 has lost threads to calls that hang",
                "2 calls ran past their timeout and cannot be ended; each holds a thread until the process ends.",
            ),
        ),
    ),
    Case(
        "a tool blocks the event loop again and again",
        {LAG: "0 0 3 0 0 " * 12},
        (
            of_replica(
                "McpEventLoopBlocked",
                "A tool blocks the event loop of a:9464",
                "Everything there waited 3s. The server's log names the tool and its stack.",
            ),
        ),
    ),
    Case("a tool blocked the event loop once", {LAG: "0x27 3 0x30"}),
    Case(
        "a server starts again and again",
        {STARTED: "1x10 2x5 3x5 4x40"},
        (
            of_replica(
                "McpServerRestarting",
                "a:9464 starts again and again",
                "It started 3 times within half an hour; its log and `mcp-pack status` say why it died.",
            ),
        ),
    ),
    Case("a server was rolled twice", {STARTED: "1x10 2x5 3x45"}),
    Case(
        "one replica is not ready",
        {READY["a:9464"]: steady(0)},
        (of_replica("McpServerNotReady", "a:9464 is not ready", NOT_READY),),
    ),
    Case("one replica drains", {READY["a:9464"]: "1x27 0x3"}),
    Case(
        "no replica is ready",
        {READY["a:9464"]: "1x27 0x30", READY["b:9464"]: "1x27 0x30"},
        (
            Fired(
                "McpServerDown",
                "critical",
                "No replica is ready",
                "Clients are refused. /readyz of each replica says why.",
            ),
        ),
    ),
    Case(
        "the replicas show different tools",
        {info("b:9464"): GONE, info("b:9464", contract="d" * 64): steady(1)},
        (
            Fired(
                "McpContractsDiffer",
                "warning",
                "The replicas do not show clients the same tools",
                "2 contracts are served at once, longer than a roll-out takes: `mcp-pack drift` tells more.",
            ),
        ),
    ),
    Case(
        "a roll-out takes ten minutes",
        {info("b:9464"): "1x19 _x40", info("b:9464", contract="d" * 64): "_x20 1x40"},
    ),
    Case(
        "another stage shows other tools",
        {info("c:9464", stage="test", contract="d" * 64): steady(1)},
    ),
    Case(
        "nothing is heard of any replica",
        {name: GONE for name in WELL if ":9464" in name and "z:9464" not in name},
        (
            Fired(
                "McpServerAbsent",
                "critical",
                "Nothing is heard of the server",
                "No replica has metrics: none runs, none is scraped, or [serve.metrics] is not set.",
            ),
        ),
    ),
)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rules") / "alerts.yaml"
    file.write_text(yaml_text(prometheus_rules(WATCHED)), encoding="utf-8")
    return file


def alert_names() -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(rule["alert"] for group in prometheus_rules(WATCHED)["groups"] for rule in group["rules"])
    )


def test_prometheus_reads_the_rules_and_its_lint_is_content(rules: Path) -> None:
    assert "SUCCESS: 13 rules found" in promtool.check(rules)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_exactly_what_should_fires(case: Case, rules: Path, tmp_path: Path) -> None:
    expected = [
        {
            "eval_time": f"{case.minutes}m",
            "alertname": name,
            "exp_alerts": [
                {
                    "exp_labels": {"severity": one.severity, "service": "words", "stage": "prod", **one.labels},
                    "exp_annotations": {"summary": one.summary, "description": one.description},
                }
                for one in case.fired
                if one.alert == name
            ],
        }
        for name in alert_names()
    ]
    assert promtool.evaluate(tmp_path, rules, {**WELL, **case.series}, alerts=expected) == ""


def test_every_alert_is_seen_to_fire() -> None:
    assert {fired.alert for case in CASES for fired in case.fired} == set(alert_names())


def test_the_judge_tells_a_wrong_expectation(rules: Path, tmp_path: Path) -> None:
    expected = [{"eval_time": "30m", "alertname": "McpServerAbsent", "exp_alerts": [{"exp_labels": {"severity": "x"}}]}]
    assert "FAILED" in promtool.evaluate(tmp_path, rules, WELL, alerts=expected)

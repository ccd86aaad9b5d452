"""Names that nobody should give a tool arrive whole: in Prometheus's labels, in YAML, and in the operator's schema."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_packager.monitoring import Watched, WatchedTool, kubernetes_rules, prometheus_rules, yaml_text
from tests import real_parts
from tests.monitoring import promtool
from tests.monitoring.scenes import WATCHED, calls, durations, info, named, steady

NAMES = (
    'a"b',
    "back\\slash",
    "\\x24",
    "new\nline",
    "tab\tand\rreturn",
    "{{ $value }}",
    "{{",
    "$instance",
    "a.*|b",
    "(",
    "snow☃man",
    "\U0001f600",
    "next\x85line",
    "line\u2028separator",
    "nul\x00byte",
    "\ufeffmark",
    "no",
    "1e3",
    "- x: y",
    "#",
    " ",
)
texts = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), min_size=1, max_size=8, unique=True)


def failing_and_slow(names: tuple[str, ...], folder: Path) -> str:
    """Let every tool fail and be slow; what promtool says where an alert's label is not the tool's name."""
    deployment = Watched(WATCHED.identity, tuple(WatchedTool(name, 60.0) for name in names))
    rules = folder / "alerts.yaml"
    rules.write_text(yaml_text(prometheus_rules(deployment)), encoding="utf-8")
    series = {info("a:1"): steady(1), named("mcp_server_ready", "a:1"): steady(1)}
    for name in names:
        series |= {**calls("a:1", name, 60, errors=60), **durations("a:1", name, {60: 60})}
    own = {"service": "words", "stage": "prod"}
    failed = [
        {
            "exp_labels": {**own, "severity": "critical", "gen_ai_tool_name": name},
            "exp_annotations": {
                "summary": f"{name} fails more than not",
                "description": "100% of its calls of the last minutes failed. A result with isError counts; "
                "gen_ai_tool_name and error_type of mcp_tool_errors_total tell more.",
            },
        }
        for name in names
    ]
    slow = [
        {
            "exp_labels": {**own, "severity": "warning", "gen_ai_tool_name": name, "timeout": "60s"},
            "exp_annotations": {
                "summary": f"{name} is slow",
                "description": "More than one call in a hundred takes longer than 30 s; after 60 s it is given up.",
            },
        }
        for name in names
    ]
    alerts = [
        {"eval_time": "30m", "alertname": "McpToolBroken", "exp_alerts": failed},
        {"eval_time": "30m", "alertname": "McpToolSlow", "exp_alerts": slow},
    ]
    return promtool.evaluate(folder, rules, series, alerts=alerts)


@pytest.mark.real("promtool")
def test_prometheus_sees_the_names_as_they_are(tmp_path: Path) -> None:
    assert failing_and_slow(NAMES, tmp_path) == ""


@pytest.mark.real("promtool")
@settings(max_examples=25, deadline=None, derandomize=True)
@given(names=texts)
def test_prometheus_sees_any_name_as_it_is(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    assert failing_and_slow(tuple(names), tmp_path_factory.mktemp("names")) == ""


def read_as(document: dict[str, Any], written: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Hold YAML against the document that it should be: a reader of YAML 1.2 that is not ours compares them."""
    (folder / "is.json").write_text(json.dumps({"const": document}), encoding="utf-8")
    (folder / "read.yaml").write_text(written, encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", "is.json", "read.yaml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_yaml_is_read_as_what_was_written(tmp_path: Path) -> None:
    document: dict[str, Any] = {
        "texts": [*NAMES, ""],
        "on": {"nested": [{"a": "1", "b": ["x", []]}, {}, {"c": {}}], "number": 3, "yes": True, "off": False},
        **{name: name for name in NAMES if "\x00" not in name},
    }
    done = read_as(document, yaml_text(document), tmp_path)
    assert done.returncode == 0, done.stdout
    assert read_as(document, yaml_text({**document, "on": "1"}), tmp_path).returncode == 1


def test_yaml_takes_nothing_that_it_does_not_know() -> None:
    with pytest.raises(TypeError, match="float does not go into YAML"):
        yaml_text({"a": 1.5})


def judged(rule: dict[str, Any]) -> str:
    """``valid``, or why the Prometheus operator's schema refuses it."""
    reader = Path(__file__).parent / "prometheus_rule.mjs"
    command = [str(real_parts.node()), str(reader), str(real_parts.node_modules())]
    text = json.dumps({"rule": rule})
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.real("node", "node-modules")
def test_the_operators_schema_takes_the_rule(tmp_path: Path) -> None:
    deployment = Watched(WATCHED.identity, tuple(WatchedTool(name, 60.0) for name in NAMES))
    rule = kubernetes_rules(deployment)
    assert judged(rule) == "valid"
    assert rule["spec"] == prometheus_rules(deployment)
    assert read_as(rule, yaml_text(rule), tmp_path).returncode == 0


@pytest.mark.real("node", "node-modules")
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"kind": "ConfigMap"}, "no PrometheusRule"),
        ({"spec": {"groups": [{"rules": []}]}}, "name"),
        ({"spec": {"groups": [{"name": "a", "rules": [{"alert": "A", "expr": "1", "for": "soon"}]}]}}, "for"),
    ],
    ids=["kind", "no name", "no duration"],
)
def test_the_operators_schema_refuses_another_form(change: dict[str, Any], why: str) -> None:
    said = judged({**kubernetes_rules(WATCHED), **change})
    assert said.startswith("refused: ")
    assert why in said

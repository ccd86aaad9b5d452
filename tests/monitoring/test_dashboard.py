"""The dashboard is what Grafana's own types ask for, and Prometheus answers each of its queries."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.monitoring import Watched, WatchedTool, dashboard, prometheus_rules, yaml_text
from mcp_packager.target.identity import Identity
from tests import real_parts
from tests.monitoring import promtool
from tests.monitoring.scenes import WATCHED, WELL, calls, durations, growing, named, steady

TYPES = Path(__file__).parent / "dashboard.ts"
HOSTILE = (
    'a"b',
    "back\\slash",
    "$instance",
    "[[instance]]",
    "${datasource:raw}",
    "new\nline",
    "{{ $value }}",
    "☃\x85\u2028",
)
# Grafana's own: public/app/features/variables/utils.ts, `variableRegex`.
VARIABLE = re.compile(r"\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^\}]+))?(?::([^\}]+))?\}")


def every_panel(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", ())


def drawn(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in every_panel(board) if panel["type"] != "row"]


def expressions(board: dict[str, Any]) -> list[str]:
    """All PromQL, with Grafana's variables filled in."""
    found = [target["expr"] for panel in drawn(board) for target in panel["targets"]]
    return [expr.replace("$__rate_interval", "5m").replace("$instance", ".*") for expr in found]


@pytest.mark.real("node", "node-modules")
def test_grafanas_types_know_it(tmp_path: Path) -> None:
    deployments = [
        Watched(WATCHED.identity, tuple(WatchedTool(name, 60.0) for name in names))
        for names in ((), ("count",), HOSTILE)
    ]
    assert compiled([dashboard(deployment) for deployment in deployments], tmp_path) == {}


@pytest.mark.real("node", "node-modules")
def test_grafanas_types_refuse_another_form(tmp_path: Path) -> None:
    changes: list[dict[str, Any]] = [
        {"panels": [{"type": "row", "title": "no number", "collapsed": False, "panels": []}]},
        {"graphTooltip": "1"},
        {"unknown": True},
    ]
    wrong = compiled([{**dashboard(WATCHED), **change} for change in ({}, *changes)], tmp_path)
    assert wrong.keys() == {1, 2, 3}
    assert '\'{ type: "row"; title: string;' in wrong[1]
    assert '"unknown"' in wrong[3]


def compiled(boards: Sequence[dict[str, Any]], folder: Path) -> dict[int, str]:
    """What the TypeScript compiler says against dashboards, by their places in the list."""
    modules = real_parts.node_modules()
    (folder / "node_modules").symlink_to(modules)
    head = TYPES.read_text(encoding="utf-8")
    lines = [f"export const board{index}: Plain<Board> = {json.dumps(board)};" for index, board in enumerate(boards)]
    (folder / "board.ts").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    options = {
        "strict": True,
        "noEmit": True,
        "skipLibCheck": True,
        "module": "esnext",
        "moduleResolution": "bundler",
        "types": [],
    }
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["board.ts"]}))
    command = [str(real_parts.node()), str(modules / "typescript" / "bin" / "tsc"), "--pretty", "false"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    said: dict[int, str] = {}
    for line in filter(None, done.stdout.splitlines()):
        found = re.match(r"board\.ts\((\d+),\d+\): error (.+)", line)
        if found:
            said.setdefault(int(found[1]) - head.count("\n") - 1, found[2])
        else:
            assert said, f"the compiler did not judge the dashboards: {line}"  # what follows explains an error
    assert (done.returncode != 0) == bool(said), done.stderr
    return said


def test_every_tool_has_its_row() -> None:
    rows = [panel for panel in dashboard(WATCHED)["panels"] if panel["type"] == "row"]
    assert [row["title"] for row in rows] == ["Overview", "Servers", "count", "index", "x"]
    for row in rows[2:]:
        assert row["collapsed"]
        assert [panel["title"] for panel in row["panels"]] == ["Calls", "Errors", "Duration", "In flight"]


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    board = dashboard(WATCHED)
    numbers = [panel["id"] for panel in every_panel(board)]
    assert len(set(numbers)) == len(numbers)
    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not own & cells, panel["title"]
        cells |= own


def test_stages_and_projects_have_dashboards_of_their_own() -> None:
    identities = (Identity("p", "t"), Identity("p", "t", "prod"), Identity("q", "t"), Identity("p", "t" * 60, "s" * 60))
    boards = [dashboard(Watched(identity, ())) for identity in identities]
    assert len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) == len(boards)
    assert all(len(board["uid"]) <= 40 for board in boards)


@pytest.mark.real("promtool")
def test_prometheus_answers_every_query(tmp_path: Path) -> None:
    series = {
        **WELL,
        **calls("a:9464", "count", 60, errors=6),
        **calls("b:9464", "index", 60, errors=1, kind="timeout"),
        **durations("b:9464", "index", {0.1: 60}),
        **busy("a:9464"),
        named("mcp_tool_calls_in_flight", "b:9464", gen_ai_tool_name="index"): steady(0),
    }
    deployment = Watched(WATCHED.identity, WATCHED.tools[:2])
    asked = expressions(dashboard(deployment))
    queries = [
        {
            "expr": f"count({expr}) > bool 0",
            "eval_time": "30m",
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        for expr in asked
    ]
    assert len(asked) == 10 + 8 + 2 * 5
    assert promtool.evaluate(tmp_path, empty(tmp_path), series, queries=queries) == ""


def busy(instance: str) -> dict[str, str]:
    return {named("mcp_server_rejections_total", instance, reason="busy"): growing(6)}


def empty(folder: Path) -> Path:
    file = folder / "none.yaml"
    file.write_text(yaml_text(prometheus_rules(WATCHED)), encoding="utf-8")
    return file


@pytest.mark.real("promtool")
def test_the_figures_are_those_of_this_deployment_alone(tmp_path: Path) -> None:
    series = {**WELL, **calls("a:9464", "count", 60, errors=6), **busy("a:9464")}
    rows = {row["title"]: row for row in dashboard(WATCHED)["panels"] if row["type"] == "row"}
    tool = {panel["title"]: panel["targets"] for panel in rows["count"]["panels"]}
    figures = {panel["title"]: panel["targets"] for panel in drawn(dashboard(WATCHED)) if panel["type"] == "stat"}
    (contracts,) = [panel["targets"] for panel in drawn(dashboard(WATCHED)) if panel["title"] == "Contract"]
    expected = [
        (tool["Calls"][0], "{}", 2),
        (tool["Errors"][0], '{error_type="tool_error"}', 0.05),
        (tool["Duration"][0], "{}", 0.075),
        (tool["Duration"][1], "{}", 0.0995),
        (tool["In flight"][0], "{}", 6),
        (figures["Ready"][0], "{}", 2),
        (figures["Calls"][0], "{}", 2),
        (figures["Errors"][0], "{}", 0.05),
        (contracts[0], f'{{contract="{"c" * 12}", version="1.0.0"}}', 2),
    ]
    queries = [
        {
            "expr": f"round(({expr.replace('$__rate_interval', '5m').replace('$instance', '.*')}) * 10000)",
            "eval_time": "30m",
            "exp_samples": [{"labels": labels, "value": value * 10_000}],
        }
        for expr, labels, value in ((target["expr"], labels, value) for target, labels, value in expected)
    ]
    assert promtool.evaluate(tmp_path, empty(tmp_path), series, queries=queries) == ""


@pytest.mark.real("promtool")
def test_a_choice_of_replicas_narrows_every_query(tmp_path: Path) -> None:
    asked = [expr.replace('=~".*"', '=~"nobody"') for expr in expressions(dashboard(WATCHED))]
    series = {**WELL, **busy("a:9464")}
    queries = [{"expr": f"count({expr})", "eval_time": "30m", "exp_samples": []} for expr in asked]
    assert promtool.evaluate(tmp_path, empty(tmp_path), series, queries=queries) == ""


@pytest.mark.real("promtool")
def test_a_new_contract_is_marked_and_a_first_one_is_not(tmp_path: Path) -> None:
    (marks,) = dashboard(WATCHED)["annotations"]["list"]
    old, new = (f'mcp_tool_info{{job="mcp",instance="a",service="words",stage="prod",contract="{c}"}}' for c in "on")
    series = {old: "_x4 1x15 _x40", new: "_x20 1x40"}
    queries = [
        {"expr": marks["target"]["expr"], "eval_time": f"{minute}m", "exp_samples": samples}
        for minute, samples in ((7, []), (15, []), (21, [{"labels": '{contract="n"}', "value": 1}]), (40, []))
    ]
    assert promtool.evaluate(tmp_path, empty(tmp_path), series, queries=queries) == ""


@pytest.mark.parametrize("name", HOSTILE)
def test_grafana_finds_only_its_own_variables(name: str) -> None:
    def variables(board: dict[str, Any]) -> list[str]:
        texts = [panel.get("title", "") for panel in every_panel(board)]
        texts += [target["expr"] for panel in drawn(board) for target in panel["targets"]]
        return [found[0] for text in texts for found in VARIABLE.finditer(text)]

    boards = [dashboard(Watched(WATCHED.identity, (WatchedTool(tool, 60.0),))) for tool in ("plain", name)]
    assert variables(boards[0]) == variables(boards[1])

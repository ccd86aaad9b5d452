"""``docs/monitoring.md`` names every alert as it is, and every metric that is asked for."""

from __future__ import annotations

import re
from pathlib import Path

from mcp_packager.monitoring import Watched, WatchedTool, prometheus_rules, series
from tests.monitoring.scenes import WATCHED

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")
ONE_TOOL = Watched(WATCHED.identity, (WatchedTool("greet", 60.0),))


def test_every_alert_is_told_with_its_severity() -> None:
    told = re.findall(r"^\| `(Mcp\w+)` \| (\w+) \|", PAGE, re.MULTILINE)
    rules = [rule for group in prometheus_rules(ONE_TOOL)["groups"] for rule in group["rules"]]
    assert sorted(told) == sorted((rule["alert"], rule["labels"]["severity"]) for rule in rules)
    assert f"SUCCESS: {len(rules)} rules found" in PAGE


def test_every_metric_is_told() -> None:
    asked = {
        value
        for name, value in vars(series).items()
        if name[0].isupper() and str(value).startswith(("mcp_", "process_"))
    }
    assert len(asked) == 14
    assert {name for name in asked if f"`{name.removesuffix('_bucket')}`" not in PAGE} == set()

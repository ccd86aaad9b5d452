"""Runs Prometheus's own checker over rules and made-up series."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests import real_parts

INTERVAL = "1m"


def check(rules: Path) -> str:
    """What ``promtool check rules`` says of a rule file; lint is an error."""
    done = _run("check", "rules", "--lint=all", "--lint-fatal", str(rules))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def evaluate(
    folder: Path,
    rules: Path,
    series: Mapping[str, str],
    *,
    alerts: Sequence[Mapping[str, Any]] = (),
    queries: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Evaluate rules and queries over series, one sample a minute; what ``promtool`` finds wrong, or nothing.

    ``alerts`` and ``queries`` are the lists ``alert_rule_test`` and ``promql_expr_test`` of
    https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/.
    """
    test: dict[str, Any] = {
        "interval": INTERVAL,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": list(alerts),
        "promql_expr_test": list(queries),
    }
    document = {"rule_files": [str(rules)], "evaluation_interval": INTERVAL, "tests": [test]}
    file = folder / "test.yaml"
    file.write_text(_as_yaml(document), encoding="ascii")
    done = _run("test", "rules", str(file))
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _as_yaml(document: Any) -> str:
    # JSON is YAML but for characters that only YAML breaks lines at, and pairs that stand for one character.
    text = json.dumps(document, ensure_ascii=False)
    return re.sub(r"[^\x20-\x7e]", lambda found: f"\\U{ord(found[0]):08x}", text)


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = real_parts.PARTS["promtool"]()
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)

"""What watches a deployed server: a Grafana dashboard and Prometheus alert rules, made from its contract.

Everything here is a pure function from data to documents; a command writes them down.
"""

from __future__ import annotations

from mcp_packager.monitoring.alerts import Thresholds, kubernetes_rules, prometheus_rules
from mcp_packager.monitoring.dashboard import dashboard
from mcp_packager.monitoring.watched import Watched, WatchedTool, watched
from mcp_packager.yaml import yaml_text

__all__ = [
    "Thresholds",
    "Watched",
    "WatchedTool",
    "dashboard",
    "kubernetes_rules",
    "prometheus_rules",
    "watched",
    "yaml_text",
]

"""``mcp-pack monitoring``: a dashboard and alert rules for one stage, from the contract."""

from __future__ import annotations

import json
from pathlib import Path

from mcp_packager import monitoring
from mcp_packager.files import write_atomic, writing
from mcp_packager.pipeline.prepare import prepare
from mcp_packager.pipeline.project import open_project
from mcp_packager.pipeline.reports import MonitoringReport
from mcp_packager.pipeline.requests import Request
from mcp_packager.target import identity_of

DASHBOARD_FILE = "dashboard.json"
ALERTS_FILE = "alerts.yaml"


def write(request: Request, *, output: Path | None = None, kubernetes: bool = False) -> MonitoringReport:
    """Write ``dashboard.json`` and ``alerts.yaml`` into ``output`` (default ``dist/monitoring`` in the project).

    ``kubernetes`` makes the rules a ``PrometheusRule`` of the Prometheus operator instead of a plain rule file.
    Each file appears whole, and none before both could be made.

    Raises:
        UserError: manifest, dependencies, files or code are wrong.
        WorldError: the package index does not answer, or the folder cannot be written.
    """
    project = open_project(request)
    manifest = project.manifest
    prepared = prepare(manifest, project.aims, locked=request.locked, progress=request.progress)
    deployment = monitoring.watched(prepared.contract, identity_of(manifest), manifest.serve.timeout)
    rules = monitoring.kubernetes_rules(deployment) if kubernetes else monitoring.prometheus_rules(deployment)
    texts = {
        DASHBOARD_FILE: json.dumps(monitoring.dashboard(deployment), ensure_ascii=False, indent=2) + "\n",
        ALERTS_FILE: monitoring.yaml_text(rules),
    }
    folder = output or manifest.project / "dist" / "monitoring"
    with writing(folder):
        for name, text in texts.items():
            write_atomic(folder / name, text.encode())
    return MonitoringReport(
        stage=manifest.stage,
        contract_hash=prepared.contract.hash,
        tools=tuple(tool.name for tool in deployment.tools),
        dashboard=folder / DASHBOARD_FILE,
        alerts=folder / ALERTS_FILE,
        form="kubernetes" if kubernetes else "prometheus",
        shown=manifest.serve.metrics is not None,
    )

"""What the stories beside ``check`` and ``build`` answer, as frozen data that a command can print.

Apart from :mod:`requests`, since making so many classes takes a tenth of what a short command may.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_packager.pipeline.requests import Comparison


@dataclass(frozen=True, slots=True)
class LockReport:
    """What ``mcp-pack lock`` did. ``changes``: package to ``(old, new)``, ``None`` where it was or is not there."""

    path: Path
    written: bool
    packages: int
    platforms: tuple[str, ...]
    changes: Mapping[str, tuple[str | None, str | None]]


@dataclass(frozen=True, slots=True)
class MonitoringReport:
    """A dashboard and alert rules of one stage. ``form`` is ``prometheus`` or ``kubernetes``, of the rules.

    ``shown`` tells whether the stage's servers show the metrics that both are about.
    """

    stage: str
    contract_hash: str
    tools: tuple[str, ...]
    dashboard: Path
    alerts: Path
    form: str
    shown: bool


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What a deploy would change. ``plan`` is the engine's plan; ``text`` is it drawn without colour."""

    target: str
    stage: str
    plan: Mapping[str, Any]
    text: str
    changes_due: bool
    contract: Comparison


@dataclass(frozen=True, slots=True)
class DeployReport:
    """What a deploy left. ``changed`` is false where there was nothing to do.

    ``seconds`` is how long each phase and each change took, by name; changes run side by side.
    """

    target: str
    stage: str
    changed: bool
    release: int
    version: str
    digest: str
    contract_hash: str
    endpoint: Mapping[str, Any]
    verified: tuple[str, ...]
    unverified: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """One dependency service: whether a connection to its address could be made from here, and if not, why."""

    name: str
    address: str
    reachable: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """How one deployment is. ``state`` is ``running``, ``stopped``, ``crashed``, ``starting`` or ``absent``.

    ``replicas`` is ``ready/wanted``; ``services`` are those with an ``external`` address.
    """

    target: str
    stage: str
    state: str
    release: int | None
    version: str | None
    digest: str | None
    contract_hash: str | None
    endpoint: Mapping[str, Any] | None
    uptime_seconds: float | None
    restarts: int | None
    detail: tuple[str, ...]
    replicas: str | None = None
    services: tuple[ServiceLine, ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One release: who made it, when (RFC 3339, UTC), what it holds, how it ended.

    ``contract_change`` is against the release that clients had before: ``none``, ``harmless`` or ``breaking``;
    ``None`` where no earlier one is kept.
    """

    release: int
    version: str
    digest: str
    contract_hash: str
    when: str
    who: str
    outcome: str
    current: bool
    contract_change: str | None = None


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What the world holds against what the last release says."""

    target: str
    stage: str
    release: int | None
    text: str
    drifted: bool
    plan: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DestroyReport:
    """What was removed and what was kept on purpose."""

    target: str
    stage: str
    removed: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InvokeReport:
    """What a tool answered: the wire result, and whether the tool called it an error."""

    tool: str
    result: Mapping[str, Any]
    is_error: bool


@dataclass(frozen=True, slots=True)
class SecretLine:
    """One declared secret: where it comes from and whether it is there. Never its value."""

    name: str
    source: str
    required: bool
    present: bool | None
    description: str


@dataclass(frozen=True, slots=True)
class PushReport:
    """Which secrets were delivered anew, by name, and the release that goes on with them."""

    target: str
    stage: str
    release: int
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key for callers, and what may stand in a server's secret in its place. Printed once, kept nowhere."""

    key: str
    hash: str

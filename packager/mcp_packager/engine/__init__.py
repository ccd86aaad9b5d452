"""The engine: plan, deploy, rollback, drift and destroy, the same for every target.

``plan = diff(desired, observed)``; ``deploy`` carries it out in phases behind a lock and leaves a release.
Nothing here knows a target, and nothing here writes but through a target's ``World``.
"""

from mcp_packager.engine.apply import Executor
from mcp_packager.engine.deploy import Deployed, deploy, plan
from mcp_packager.engine.diff import diff
from mcp_packager.engine.draw import draw
from mcp_packager.engine.failure import Stopped
from mcp_packager.engine.lock import Guard, hold
from mcp_packager.engine.operate import (
    Destroyed,
    Drift,
    current,
    destroy,
    destroy_plan,
    drift,
    history,
    rollback,
    unlock,
)
from mcp_packager.engine.order import PlanError
from mcp_packager.engine.run import Clock, Run, whoami

__all__ = [
    "Clock",
    "Deployed",
    "Destroyed",
    "Drift",
    "Executor",
    "Guard",
    "PlanError",
    "Run",
    "Stopped",
    "current",
    "deploy",
    "destroy",
    "destroy_plan",
    "diff",
    "draw",
    "drift",
    "history",
    "hold",
    "plan",
    "rollback",
    "unlock",
    "whoami",
]

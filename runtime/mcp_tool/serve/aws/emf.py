"""Metrics as log lines that CloudWatch reads (CloudWatch user guide, "Embedded metric format specification").

One line for each tool call, so that alarms see a tool that fails, though its answer is a 200:

    {"_aws": {"Timestamp": ms, "CloudWatchMetrics": [{"Namespace", "Dimensions", "Metrics"}, …]},
     "service", "stage", "tool", "function_version", "Calls": 1, "Errors": 0 | 1, "Duration": ms, "error_type": …}

`Calls`, `Errors` and `Duration` are there by service and stage and by tool; `Calls` and `Errors` by the function's
version too, for whoever watches a new one. No dimension holds what a client may choose.
"""

import os
import time
from collections.abc import Mapping
from typing import Any, Final

from mcp_tool.serve.observe import log
from mcp_tool.serve.observe.metrics import CALL, CANCELLED

_CALLS: Final = ({"Name": "Calls", "Unit": "Count"}, {"Name": "Errors", "Unit": "Count"})
_ALL: Final = (*_CALLS, {"Name": "Duration", "Unit": "Milliseconds"})


class Embedded:
    """Writes the line of every call that is over.

    Args:
        namespace: Under which CloudWatch keeps the metrics.
        service: The tool project's name.
        stage: Where it is deployed.
    """

    def __init__(self, namespace: str, service: str, stage: str) -> None:
        self._common: Mapping[str, Any] = {
            "service": service,
            "stage": stage,
            "function_version": os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        }
        self._directives = (
            {
                "Namespace": namespace,
                "Dimensions": [["service", "stage"], ["service", "stage", "tool"]],
                "Metrics": _ALL,
            },
            {"Namespace": namespace, "Dimensions": [["service", "stage", "function_version"]], "Metrics": _CALLS},
        )

    def __call__(self, method: str, tool: str, error_type: str, seconds: float) -> None:
        """Note one request that took so long and ended so; only calls of tools are written."""
        if method != CALL:
            return
        failed = error_type not in {"", CANCELLED}
        line = {
            "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": self._directives},
            **self._common,
            "tool": tool or "unknown",
            "Calls": 1,
            "Errors": int(failed),
            "Duration": round(seconds * 1000, 3),
        }
        log.line({**line, "error_type": error_type} if error_type else line)

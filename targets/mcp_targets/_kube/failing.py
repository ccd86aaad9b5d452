"""How many calls of a Pod failed, as its own figures say: read through the API server from the port of its metrics."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mcp_targets._kube.inside import forwarded
from mcp_targets._kube.objects import Objects

FEWEST: Final = 20
"""Calls below which a share of failures says nothing."""

_CALLS: Final = "mcp_tool_calls_total"
_FAILED: Final = "mcp_tool_errors_total"
_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Tally:
    """Calls that ended, and those among them that failed."""

    calls: int = 0
    failed: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.calls + other.calls, self.failed + other.failed)

    @property
    def share(self) -> float:
        """Of all calls those that failed, 0 to 1."""
        return self.failed / self.calls if self.calls else 0.0

    def since(self, before: Tally) -> Tally:
        """What was added; a server that began anew counts from the beginning."""
        if self.calls < before.calls or self.failed < before.failed:
            return self
        return Tally(self.calls - before.calls, self.failed - before.failed)


def tallied(objects: Objects, pods: Iterable[str], port: int) -> dict[str, Tally]:
    """The tally of each Pod; one that does not answer is left out, for its readiness says why."""
    found: dict[str, Tally] = {}
    for pod in pods:
        with contextlib.suppress(OSError, http.client.HTTPException):
            found[pod] = counted(_read(objects, pod, port))
    return found


def _read(objects: Objects, pod: str, port: int) -> str:
    with forwarded(objects.api, objects.namespace, [pod], port) as here:
        connection = http.client.HTTPConnection("127.0.0.1", here, timeout=_SECONDS)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode("utf-8", "replace")
        finally:
            connection.close()


def counted(text: str) -> Tally:
    """What Prometheus' text format says of the calls, all tools together."""
    sums = {_CALLS: 0.0, _FAILED: 0.0}
    for line in text.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name in sums:
            sums[name] += float(line.rpartition(" ")[2])
    return Tally(int(sums[_CALLS]), int(sums[_FAILED]))

"""The runtime's metrics by name, and PromQL over those of one deployment.

A server's series are told from everybody else's by ``mcp_tool_info``, an information metric of the same scrape: no
other metric carries service or stage, so that none has more labels than it must.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mcp_packager.yaml import written

CALLS: Final = "mcp_tool_calls_total"
ERRORS: Final = "mcp_tool_errors_total"
IN_FLIGHT: Final = "mcp_tool_calls_in_flight"
DURATION: Final = "mcp_server_operation_duration_seconds_bucket"
REJECTIONS: Final = "mcp_server_rejections_total"
LOST_THREADS: Final = "mcp_server_lost_threads"
LOOP_LAG: Final = "mcp_server_event_loop_lag_seconds"
READY: Final = "mcp_server_ready"
LOST_LINES: Final = "mcp_server_log_lines_lost_total"
INFO: Final = "mcp_tool_info"
CPU: Final = "process_cpu_seconds_total"
MEMORY: Final = "process_resident_memory_bytes"
STARTED: Final = "process_start_time_seconds"
OPEN_FILES: Final = "process_open_fds"

TOOL: Final = "gen_ai_tool_name"
"""The label that names a tool, as the semantic conventions for GenAI do."""

KNOWN: Final = f'{TOOL}!=""'
"""Matches every tool that the contract has: calls of any other are counted without a name."""

BUCKETS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds in seconds of the duration histogram: those that the semantic conventions for MCP advise."""

_CALLING: Final = 'mcp_method_name="tools/call"'
_PUNCTUATION: Final = re.compile(f"[{re.escape(string.punctuation.replace('_', ''))}]")
_ESCAPED: Final = re.compile(r'[\\"$\[]')


def quoted(text: str) -> str:
    r"""Text as a PromQL string literal, whatever it holds.

    PromQL's strings are Go's. ``$`` and ``[`` are escaped too: a dashboard would take ``$name`` and ``[[name]]`` for
    its own variables, and has no other way to be told that they are none.
    """
    return '"' + "".join(_character(letter) for letter in text) + '"'


def _character(letter: str) -> str:
    if _ESCAPED.match(letter):
        return f"\\{letter}" if letter in '\\"' else f"\\x{ord(letter):02x}"
    return written(letter)


def any_of(texts: Iterable[str]) -> str:
    """A PromQL string literal with a regular expression that matches exactly these texts, for ``=~``."""
    return quoted("|".join(_literal(text) for text in texts))


def _literal(text: str) -> str:
    # RE2 takes a backslash before any ASCII punctuation for that character, and everything else as it stands.
    return _PUNCTUATION.sub(r"\\\g<0>", text)


@dataclass(frozen=True, slots=True)
class Series:
    """PromQL over the series of one deployment.

    ``window`` is how far a rate looks back. ``instances``, where it is set, is a regular expression that an
    instance's name must match; it is put into the query as it stands, so that it may be a dashboard's variable.
    """

    service: str
    stage: str
    window: str
    instances: str | None = None

    @property
    def info(self) -> str:
        """The information metric of every replica."""
        chosen = "" if self.instances is None else f',instance=~"{self.instances}"'
        return f"{INFO}{{service={quoted(self.service)},stage={quoted(self.stage)}{chosen}}}"

    def own(self, series: str) -> str:
        """Of some series those that a replica of this deployment has."""
        return f"{series} and on (job, instance) {self.info}"

    def rate(self, metric: str, matchers: str = "", *, by: str = "") -> str:
        """A counter's increase a second, summed over the replicas."""
        return self.total(f"rate({_selected(metric, matchers)}[{self.window}])", by=by)

    def total(self, series: str, *, by: str = "") -> str:
        """The sum over the replicas."""
        group = f" by ({by})" if by else ""
        return f"sum{group} ({self.own(series)})"

    def error_ratio(self, matchers: str = "", *, by: str = "") -> str:
        """The share of the calls that failed, 0 to 1; also where none ever did."""
        calls = self.rate(CALLS, matchers, by=by)
        return f"({self.rate(ERRORS, matchers, by=by)} or {calls} * 0) / {calls}"

    def refused_ratio(self, reason: str) -> str:
        """The share of the calls that came and were refused for a reason, 0 to 1; also where every one was."""
        refused = self.rate(REJECTIONS, f"reason={quoted(reason)}")
        return f"{refused} / ({refused} + ({self.rate(CALLS)} or vector(0)))"

    def quantile(self, share: float, matchers: str = "", *, by: str = "") -> str:
        """A quantile of the calls' duration in seconds, within the bounds of the histogram's buckets."""
        chosen = ",".join(filter(None, (_CALLING, matchers)))
        group = ", ".join(filter(None, (by, "le")))
        return f"histogram_quantile({share}, {self.rate(DURATION, chosen, by=group)})"


def _selected(metric: str, matchers: str) -> str:
    return f"{metric}{{{matchers}}}" if matchers else metric

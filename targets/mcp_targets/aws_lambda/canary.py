"""Moving clients to a new version by steps, with the alarms looked at between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.progress import Progress
from mcp_targets._aws.errors import speaking
from mcp_targets._aws.session import Aws
from mcp_targets.aws_lambda.waiting import Waiting

Move = Callable[[Mapping[str, Any], str, Mapping[str, float]], Mapping[str, Any]]
"""``(alias, number, shares of others) -> alias``: one call that says where clients go."""

_LOOK: Final = 5.0
"""Seconds between two looks at the alarms, at most."""


class Canary:
    """The watch over one deployment's move. ``steps`` are percent of the calls, ``seconds`` how long each is held."""

    def __init__(
        self,
        aws: Aws,
        waiting: Waiting,
        progress: Progress,
        alarms: Sequence[str],
        steps: Sequence[int],
        seconds: float,
    ) -> None:
        self._aws = aws
        self._waiting = waiting
        self._progress = progress
        self._alarms = tuple(alarms)
        self._steps = tuple(steps)
        self._seconds = seconds

    def walk(self, alias: Mapping[str, Any], number: str, move: Move) -> Mapping[str, Any]:
        """Give a version its share of the calls, step by step; the alias after the last of them.

        Raises:
            WorldError: an alarm fired, and all calls go to the earlier version again.
        """
        before = str(alias["FunctionVersion"])
        if firing := self._firing():
            raise WorldError(
                Problem(
                    f"the alarm {firing[0]} is firing already, so it could not tell whether the new version is worse",
                    'wait until it is over, or deploy what mends it with strategy = "all" under [target.lambda]',
                )
            )
        try:
            for percent in self._steps:
                alias = move(alias, before, {number: percent / 100})
                self._progress.note(f"{percent}% of the calls go to version {number}")
                self._watch(number, percent)
        except BaseException:
            move(self._now(alias), before, {})
            raise
        return alias

    def _watch(self, number: str, percent: int) -> None:
        end = time.monotonic() + self._seconds
        while True:
            if firing := self._firing():
                raise WorldError(
                    Problem(
                        f"the alarm {firing[0]} fired while version {number} had {percent}% of the calls",
                        "look at mcp-pack logs for what went wrong; all calls go to the earlier version again",
                    )
                )
            left = end - time.monotonic()
            if left <= 0:
                return
            self._waiting.pause(min(left, _LOOK))

    def _firing(self) -> list[str]:
        with speaking("look at the alarms"):
            answer = self._aws.client("cloudwatch").describe_alarms(AlarmNames=list(self._alarms))
        return [str(one["AlarmName"]) for one in answer["MetricAlarms"] if one.get("StateValue") == "ALARM"]

    def _now(self, alias: Mapping[str, Any]) -> Mapping[str, Any]:
        """The alias as it is: its revision may be newer than the one that was answered last."""
        name = str(alias["AliasArn"]).rsplit(":", 2)[1]
        with speaking(f"read the alias {alias['Name']} of {name}"):
            found: Mapping[str, Any] = self._aws.client("lambda").get_alias(FunctionName=name, Name=alias["Name"])
        return found

"""Alarms of CloudWatch, by the function's name: those that are asked for, and what a canary is watched by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcp_packager.target import Identity, Observed, Resource, Value
from mcp_targets._aws.errors import speaking
from mcp_targets._aws.names import is_ours, listed, strange, tags, unlisted
from mcp_targets._aws.session import Aws
from mcp_targets.aws_lambda.render import ALARM

_OWNED: Final = (
    "Namespace",
    "MetricName",
    "Dimensions",
    "Statistic",
    "ExtendedStatistic",
    "Period",
    "EvaluationPeriods",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "AlarmActions",
    "OKActions",
)


class Alarms:
    """The alarms of one deployment."""

    def __init__(self, aws: Aws, identity: Identity, function: str) -> None:
        self._aws = aws
        self._identity = identity
        self._function = function

    def observe(self) -> Iterator[Observed]:
        """Those that are ours."""
        with speaking(f"list the alarms of {self._function}"):
            pages = self._client.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{self._function}-")
            found = [one for page in pages for one in page["MetricAlarms"]]
        for one in found:
            if is_ours(self._tags(one), self._identity):
                fields = {name: one.get(name) for name in _OWNED}
                # AWS tells every number of this kind with a point in it; 1.0 is the 1 that was asked for.
                bound = fields["Threshold"]
                whole = int(bound) if isinstance(bound, float) and bound.is_integer() else bound
                yield Observed(ALARM, one["AlarmName"], {**fields, "Threshold": whole})

    def put(self, resource: Resource) -> Mapping[str, Value]:
        """Make an alarm, or set it right."""
        self._check(resource.name)
        with speaking(f"set the alarm {resource.name}"):
            self._client.put_metric_alarm(
                AlarmName=resource.name,
                AlarmDescription=f"{self._identity}, deployed by mcp-pack"[:1024],
                Tags=listed(tags(self._identity)),
                **resource.fields,
            )
        return resource.fields

    def remove(self, name: str) -> None:
        """Remove an alarm; one that is gone is fine."""
        self._check(name)
        with speaking(f"remove the alarm {name}"):
            self._client.delete_alarms(AlarmNames=[name])

    def _check(self, name: str) -> None:
        with speaking(f"read the alarm {name}"):
            found = self._client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        for one in found:
            held = self._tags(one)
            if not is_ours(held, self._identity):
                raise strange(f"the alarm {name}", held)

    def _tags(self, alarm: Mapping[str, Any]) -> dict[str, str]:
        with speaking(f"read the tags of the alarm {alarm['AlarmName']}"):
            return unlisted(self._client.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"])

    @property
    def _client(self) -> Any:
        return self._aws.client("cloudwatch")

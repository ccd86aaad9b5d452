"""The group of a function's log lines: made before the function, with the time that lines are kept, and read."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcp_packager.target import Identity, Observed, Resource, Value
from mcp_targets._aws.errors import code_of, speaking
from mcp_targets._aws.names import is_ours, strange, tags
from mcp_targets._aws.session import Aws
from mcp_targets.aws_lambda.place import log_group_name
from mcp_targets.aws_lambda.render import LOG_GROUP
from mcp_targets.aws_lambda.waiting import Waiting

_GONE: Final = "ResourceNotFoundException"
_THERE: Final = "ResourceAlreadyExistsException"
_LOOKS_BACK: Final = (600, 3600, 86_400, 30 * 86_400)
"""Seconds: how far back lines are looked for, one after the other, until there are enough."""
_AGAIN: Final = 2.0
_LATE: Final = 10_000
"""Milliseconds that a line may take to be found."""


class Logs:
    """The log group of one deployment."""

    def __init__(self, aws: Aws, identity: Identity, waiting: Waiting) -> None:
        self._aws = aws
        self._identity = identity
        self._waiting = waiting
        self._name = log_group_name(identity)

    def observe(self) -> Iterator[Observed]:
        """The group, where it is ours."""
        found = self._found()
        if found is not None and is_ours(self._tags(found), self._identity):
            yield Observed(LOG_GROUP, self._name, {"retentionInDays": found.get("retentionInDays")})

    def put(self, resource: Resource) -> Mapping[str, Value]:
        """Make the group, or set right how long it keeps lines."""
        from botocore.exceptions import ClientError

        with speaking(f"make the log group {self._name}"):
            try:
                self._client.create_log_group(logGroupName=self._name, tags=tags(self._identity))
            except ClientError as error:
                if code_of(error) != _THERE:
                    raise
                self._check()
        with speaking(f"say how long {self._name} keeps lines"):
            days = resource.fields["retentionInDays"]
            self._client.put_retention_policy(logGroupName=self._name, retentionInDays=days)
        return resource.fields

    def remove(self) -> None:
        """Remove the group with its lines; one that is gone is fine."""
        from botocore.exceptions import ClientError

        if self._found() is None:
            return
        self._check()
        with speaking(f"remove the log group {self._name}"):
            try:
                self._client.delete_log_group(logGroupName=self._name)
            except ClientError as error:
                if code_of(error) != _GONE:
                    raise

    def read(self, *, lines: int, follow: bool) -> Iterator[str]:
        """The last lines, and with ``follow`` every later one until the caller stops."""
        began = int(time.time() * 1000)
        found: list[Mapping[str, Any]] = []
        for seconds in _LOOKS_BACK if lines else (_LATE // 1000,):
            found = self._since(began - seconds * 1000)
            if len(found) >= lines:
                break
        seen = {one["eventId"] for one in found}
        yield from (_line(one) for one in (found[-lines:] if lines else ()))
        since = began - _LATE
        while follow:
            self._waiting.pause(_AGAIN)
            now = int(time.time() * 1000)
            new = [one for one in self._since(since) if one["eventId"] not in seen]
            yield from (_line(one) for one in new)
            # Lines are found some seconds after they were written: the last of them are looked for once more.
            found = [one for one in (*found, *new) if one["timestamp"] >= now - 2 * _LATE]
            seen = {one["eventId"] for one in found}
            since = max(since, now - _LATE)

    def _since(self, start: int) -> list[Mapping[str, Any]]:
        from botocore.exceptions import ClientError

        with speaking(f"read the log group {self._name}"):
            try:
                pages = self._client.get_paginator("filter_log_events").paginate(
                    logGroupName=self._name, startTime=max(0, start)
                )
                found = [one for page in pages for one in page["events"]]
            except ClientError as error:
                if code_of(error) == _GONE:
                    return []
                raise
        return sorted(found, key=lambda one: int(one["timestamp"]))

    def _found(self) -> Mapping[str, Any] | None:
        with speaking(f"read the log group {self._name}"):
            pages = self._client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=self._name)
            return next((one for page in pages for one in page["logGroups"] if one["logGroupName"] == self._name), None)

    def _check(self) -> None:
        found = self._found()
        held = {} if found is None else self._tags(found)
        if found is not None and not is_ours(held, self._identity):
            raise strange(f"the log group {self._name}", held)

    def _tags(self, group: Mapping[str, Any]) -> dict[str, str]:
        arn = str(group["arn"]).removesuffix(":*")
        with speaking(f"read the tags of the log group {self._name}"):
            found: dict[str, str] = self._client.list_tags_for_resource(resourceArn=arn)["tags"]
            return found

    @property
    def _client(self) -> Any:
        return self._aws.client("logs")


def _line(event: Mapping[str, Any]) -> str:
    """One line as the tool wrote it. Lambda wraps what is not JSON into a document of its own (``LogFormat=JSON``)."""
    text = str(event["message"]).rstrip("\n")
    try:
        said = json.loads(text)
    except ValueError:
        return text
    match said:
        case {"timestamp": str(), "message": str(message), **rest} if rest.keys() <= {"level", "requestId", "logger"}:
            return message.rstrip("\n")
        case _:
            return text

"""Waiting for AWS: what is refused now and taken a moment later, and what is still being made."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from mcp_packager.errors import Problem, WorldError
from mcp_targets._aws.errors import code_of

ROLE_SECONDS: Final = 120.0
"""How long a new role may take until Lambda may be it; IAM says no more than "eventually"."""
UPDATE_SECONDS: Final = 300.0
"""As botocore's own waiter for functions (``function_updated_v2``)."""
VERSION_SECONDS: Final = 1560.0
"""As botocore's own waiter for versions (``published_version_active``): a snapshot takes minutes."""

_FIRST: Final = 0.25
_LONGEST: Final = 5.0
_SOON: Final = (
    "cannot be assumed by lambda",
    "does not have permissions",
    "kms key is invalid for creategrant",
    "invalidarnexception",
    "throttled by ec2",
    "does not have permission to access the ecr image",
)
"""Parts of messages of ``InvalidParameterValueException`` that pass: rights reach every part of AWS after a while
(terraform-provider-aws, ``internal/service/lambda/function.go``)."""

T = TypeVar("T")


class HurriedError(WorldError):
    """What was waited for is needed by nobody any more."""


class Waiting:
    """The patience of one deployment's world. Safe to use from several threads."""

    def __init__(self) -> None:
        self._hurried = threading.Event()

    def hurry(self) -> None:
        """End every wait, now and until :meth:`calm`."""
        self._hurried.set()

    def calm(self) -> None:
        """Wait again as before."""
        self._hurried.clear()

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            HurriedError: another change failed meanwhile.
        """
        if self._hurried.wait(seconds):
            raise HurriedError(Problem("stopped, since another change failed", "run the same command again"))

    def until(self, look: Callable[[], T | None], seconds: float, what: str) -> T:
        """What ``look`` answers when it is no longer ``None``.

        Raises:
            WorldError: it took longer; ``what`` says what did.
        """
        end, rest = time.monotonic() + seconds, _FIRST
        while True:
            found = look()
            if found is not None:
                return found
            if time.monotonic() >= end:
                raise WorldError(
                    Problem(f"AWS: {what} is not ready after {seconds:.0f} s", "run the same command again in a minute")
                )
            self.pause(rest)
            rest = min(rest * 1.5, _LONGEST)

    def taken(self, call: Callable[[], T], seconds: float = ROLE_SECONDS) -> T:
        """What a call to Lambda answers, made again while what it names cannot be used yet or is being changed.

        Raises:
            ClientError: refused, and not for such a reason, or for longer.
        """
        from botocore.exceptions import ClientError

        end, rest = time.monotonic() + seconds, _FIRST
        while True:
            try:
                return call()
            except ClientError as error:
                if not _passes(error) or time.monotonic() >= end:
                    raise
            self.pause(rest)
            rest = min(rest * 1.5, _LONGEST)


def _passes(error: Any) -> bool:
    said = str(error.response.get("Error", {}).get("Message", "")).lower()
    match code_of(error):
        case "InvalidParameterValueException":
            return any(part in said for part in _SOON)
        case "ResourceConflictException":
            # The code is also that of a name which is taken; who made it says who waits for nothing.
            return "in progress" in said or "pending" in said or "operation cannot be performed" in said
        case _:
            return False

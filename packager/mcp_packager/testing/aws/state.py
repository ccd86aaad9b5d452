"""What the fake knows of functions: versions, aliases, URLs, policies."""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_packager.testing.aws.refusals import conflict, missing

LATEST = "$LATEST"


def revision() -> str:
    """A new one."""
    return str(uuid.uuid4())


def now() -> str:
    """The time as Lambda writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000+0000", time.gmtime())


@dataclass(frozen=True)
class Code:
    """What a version runs: a zip's SHA-256 in base64, its size and where it is unpacked, or an image."""

    sha256: str
    size: int
    folder: str = ""
    image: str = ""


@dataclass
class Version:
    """``$LATEST``, or what was published of it.

    Attributes:
        settings: As CreateFunction takes them, defaults filled in.
        settling: How many looks find it still being made or changed.
        fresh: Whether it was never ready yet: then it cannot be invoked while it settles.
        failure: Why it never gets ready; empty where it does.
    """

    number: str
    code: Code
    settings: dict[str, Any]
    settling: int = 0
    fresh: bool = True
    changed: str = field(default_factory=now)
    revision: str = field(default_factory=revision)
    failure: str = ""

    def looked(self) -> None:
        """Come closer to being ready."""
        if self.settling:
            self.settling -= 1
        if not self.settling:
            self.fresh = False

    def same(self, other: Version) -> bool:
        """Whether both would run the same in the same way."""
        mine, theirs = ({**one.settings, "Description": ""} for one in (self, other))
        return self.code.sha256 == other.code.sha256 and mine == theirs

    def published(self, number: str, settling: int) -> Version:
        """What it is now, under a number."""
        return Version(number, self.code, copy.deepcopy(self.settings), settling)


@dataclass
class Alias:
    """A name for a version, or for two of them with a share for the second."""

    name: str
    number: str
    weights: dict[str, float]
    description: str
    revision: str = field(default_factory=revision)
    owed: float = 0.0

    def chosen(self) -> str:
        """The version for one request: shares are kept exactly, so that no test depends on chance."""
        for number, weight in self.weights.items():
            self.owed += weight
            if self.owed >= 1.0 - 1e-9:
                self.owed -= 1.0
                return number
        return self.number


@dataclass
class Url:
    """A function URL: on the function or on an alias."""

    qualifier: str
    address: str
    identity: str
    auth: str
    mode: str
    cors: dict[str, Any]
    made: str = field(default_factory=now)


@dataclass
class Function:
    """All that goes when the function is deleted."""

    name: str
    arn: str
    latest: Version
    versions: dict[str, Version] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)
    urls: dict[str, Url] = field(default_factory=dict)
    policies: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    policy_revisions: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    reserved: int | None = None
    provisioned: dict[str, dict[str, Any]] = field(default_factory=dict)
    asynchronous: dict[str, dict[str, Any]] = field(default_factory=dict)

    def named(self, qualifier: str) -> str:
        """The ARN of a version or alias."""
        return f"{self.arn}:{qualifier}" if qualifier else self.arn

    def version(self, qualifier: str) -> Version:
        """What a qualifier means, an alias's share of traffic left aside.

        Raises:
            RefusedError: there is no such version or alias.
        """
        if qualifier in {"", LATEST}:
            return self.latest
        number = self.aliases[qualifier].number if qualifier in self.aliases else qualifier
        if number not in self.versions:
            raise missing(f"Function not found: {self.named(qualifier)}")
        return self.versions[number]

    def settled(self) -> None:
        """Hold that it may be changed (Lambda developer guide, "Lambda function states").

        Raises:
            RefusedError: it is being made or changed.
        """
        if not self.latest.settling:
            return
        if self.latest.fresh:
            raise conflict(
                "The operation cannot be performed at this time. The function is currently in the following state: "
                "Pending"
            )
        raise conflict(
            f"The operation cannot be performed at this time. An update is in progress for resource: {self.arn}"
        )

    def configuration(self, version: Version, qualifier: str = "") -> dict[str, Any]:
        """What GetFunctionConfiguration says of a version."""
        settings = version.settings
        is_latest = version.number == LATEST
        said: dict[str, Any] = {
            **{key: value for key, value in settings.items() if key not in {"Environment", "ImageConfig"}},
            "FunctionName": self.name,
            "FunctionArn": self.named(qualifier or ("" if is_latest else version.number)),
            "Version": version.number,
            "CodeSha256": version.code.sha256,
            "CodeSize": version.code.size,
            "LastModified": version.changed,
            "RevisionId": version.revision,
            "SnapStart": {**settings["SnapStart"], "OptimizationStatus": _optimised(version)},
            "VpcConfig": {**settings["VpcConfig"], "VpcId": "vpc-0" if settings["VpcConfig"]["SubnetIds"] else ""},
            **_state(version),
        }
        if settings["Environment"]["Variables"]:
            said["Environment"] = settings["Environment"]
        if settings.get("ImageConfig"):
            said["ImageConfigResponse"] = {"ImageConfig": settings["ImageConfig"]}
        if not settings["DeadLetterConfig"].get("TargetArn"):
            del said["DeadLetterConfig"]
        return said


def _optimised(version: Version) -> str:
    on = version.number != LATEST and version.settings["SnapStart"]["ApplyOn"] == "PublishedVersions"
    return "On" if on and not version.settling else "Off"


def _state(version: Version) -> Mapping[str, str]:
    """Lambda developer guide, "Lambda function states": what was never ready is Pending, what was is InProgress."""
    if not version.settling and version.failure:
        return {"State": "Failed", "StateReason": version.failure, "StateReasonCode": "FunctionError"}
    if not version.settling:
        return {"State": "Active", "LastUpdateStatus": "Successful"}
    if version.fresh:
        return {"State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating"}
    return {
        "State": "Active",
        "LastUpdateStatus": "InProgress",
        "LastUpdateStatusReason": "The function is being created.",
        "LastUpdateStatusReasonCode": "Creating",
    }

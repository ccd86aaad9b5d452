"""``[target.lambda]``: how the tool runs as a function."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from mcp_packager.manifest import Section
from mcp_packager.manifest.section import IN_BUNDLE, Many
from mcp_packager.manifest.units import Duration, Size
from mcp_packager.manifest.words import ImageName

_REGION: Final = r"^[a-z]{2}(-[a-z]+)+-[0-9]$"
_ACCOUNT: Final = r"^[0-9]{12}$"
_SUBNET: Final = r"^subnet-[0-9a-f]{8,17}$"
_GROUP: Final = r"^sg-[0-9a-f]{8,17}$"
_REPOSITORY: Final = r"^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*$"
_BUCKET: Final = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
_ARN: Final = r"^arn:[^\u0000-\u0020\u007f]+$"
_LISTENER: Final = r"^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:listener/app/[^/]+/[0-9a-f]+/[0-9a-f]+$"

RETENTIONS: Final = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288)
"""Days that CloudWatch Logs can keep a group's lines (API reference, PutRetentionPolicy), up to nine years."""


class Vpc(Section):
    """The network that the function is attached to; without one it reaches the internet and nothing private."""

    subnets: Annotated[Many[Annotated[str, StringConstraints(pattern=_SUBNET)]], Field(min_length=1, max_length=16)] = (
        Field(description="Subnets, in more than one availability zone")
    )
    security_groups: Annotated[
        Many[Annotated[str, StringConstraints(pattern=_GROUP)]], Field(min_length=1, max_length=5)
    ] = Field(description="Security groups of the function's network interfaces")


class Concurrency(Section):
    """How many requests are answered at a time: each takes an execution environment of its own."""

    reserved: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        None, description="Most environments at a time, kept free for this tool; the account's share where unset"
    )
    provisioned: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        None, description="Environments that are started ahead and paid for while they wait"
    )


class Balancer(Section):
    """The load balancer that leads to the function where the front is ``alb``: one that is there already."""

    listener: Annotated[str, StringConstraints(max_length=2000, pattern=_LISTENER)] = Field(
        description="ARN of the listener that gets a rule for the host of public_url and the path of [serve]"
    )
    priority: Annotated[int, Field(ge=1, le=50_000)] | None = Field(
        None, description="Place of the rule among the listener's; the first that is free where unset"
    )


class Canary(Section):
    """How calls move to a new version where the strategy is a canary."""

    steps: Annotated[Many[Annotated[int, Field(ge=1, le=99)]], Field(min_length=1, max_length=10)] = Field(
        (10, 50), description="Percent of the calls, one step after the other; all of them after the last"
    )
    hold: Duration = Field(
        180.0, description="How long each step is held while the alarms are watched; they count by the minute"
    )


Alarm = Literal["calls", "invocations", "throttles", "duration"]
ALARMS: Final[tuple[Alarm, ...]] = ("calls", "invocations", "throttles", "duration")


class Options(Section):
    """How the tool runs on AWS Lambda. A region is needed, here or in ``[pin]``."""

    region: Annotated[str, StringConstraints(pattern=_REGION)] | None = Field(
        None, description="AWS region; that of [pin] where unset"
    )
    account: Annotated[str, StringConstraints(pattern=_ACCOUNT)] | None = Field(
        None, description="AWS account, twelve digits; that of [pin] where unset"
    )
    package: Literal["zip", "image"] = Field(
        "zip",
        description="How the tool is shipped: a zip of 250 MB unpacked at most, or an image of 10 GB",
        json_schema_extra=IN_BUNDLE,
    )
    architecture: Literal["arm64", "x86_64"] = Field(
        "arm64", description="The processor it runs on", json_schema_extra=IN_BUNDLE
    )
    base: ImageName | None = Field(
        None, description="Image that the tool's layers stand on, as an image; python:MINOR-slim where unset"
    )
    repository: Annotated[str, StringConstraints(min_length=2, max_length=256, pattern=_REPOSITORY)] | None = Field(
        None, description="Repository in ECR that several tools share; one of the tool's own where unset"
    )
    keep_images: Annotated[int, Field(ge=1, le=10_000)] = Field(
        100, description="Images that the tool's own repository keeps"
    )
    memory: Size = Field(512 * 2**20, description="Memory, 128Mi to 10240Mi; the share of a processor grows with it")
    timeout: Duration | None = Field(
        None, description="Seconds after which Lambda ends an invocation, 900 at most; 5 more than that of [serve]"
    )
    storage: Size = Field(512 * 2**20, description="Size of /tmp, 512Mi to 10240Mi")
    streaming: bool = Field(
        default=False, description="Whether answers are sent as they are made, so that progress is seen meanwhile"
    )
    snap_start: bool = Field(
        default=False, description="Whether environments start as copies of one that was loaded before (paid apart)"
    )
    strategy: Literal["all", "canary"] = Field(
        "all", description="How traffic moves to a new version: all of it at once, or by steps that an alarm may undo"
    )
    canary: Canary = Field(Canary(), description="The steps of a canary")
    bucket: Annotated[str, StringConstraints(pattern=_BUCKET)] | None = Field(
        None, description="Bucket, in the function's region, for zips over 50 MB; they are removed from it again"
    )
    keep: Annotated[int, Field(ge=0, le=100)] = Field(5, description="Earlier versions to keep for a rollback")
    retention: Annotated[int, Field(json_schema_extra={"enum": list(RETENTIONS)})] = Field(
        30, description="Days that log lines are kept"
    )
    front: Literal["url", "http-api", "alb"] = Field(
        "url",
        description="What clients reach: the function's own URL, an HTTP API of API Gateway, or a load balancer",
    )
    alb: Balancer | None = Field(None, description="The load balancer, where the front is one")
    vpc: Vpc | None = Field(None, description="The network that the function is attached to")
    concurrency: Concurrency = Field(Concurrency(), description="How many environments there may be")
    alarms: bool | Many[Alarm] = Field(
        default=(),
        description="Alarms to keep: calls that failed, invocations that failed, throttles, duration; true for all",
    )
    alarm_actions: Annotated[
        Many[Annotated[str, StringConstraints(max_length=1024, pattern=_ARN)]], Field(max_length=5)
    ] = Field((), description="ARNs of what is told when an alarm fires, and when it is over: topics, for example")
    boundary: Annotated[str, StringConstraints(max_length=2000, pattern=_ARN)] | None = Field(
        None, description="ARN of the permissions boundary of the function's role"
    )
    dead_letters: Annotated[str, StringConstraints(max_length=2000, pattern=_ARN)] | None = Field(
        None, description="ARN of a queue or topic for asynchronous invocations that failed"
    )

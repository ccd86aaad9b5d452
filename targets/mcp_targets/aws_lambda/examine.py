"""Whether the account has what a deploy to Lambda needs, and the policy that a deployer needs there. Reads only.

Actions and the resources that they take: https://docs.aws.amazon.com/service-authorization/latest/reference/.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mcp_packager.errors import PackError
from mcp_packager.target import Examination, Finding
from mcp_targets._aws.errors import speaking
from mcp_targets._aws.examining import allowed, nowhere, policy_of, who
from mcp_targets._aws.place import unplaced
from mcp_targets._aws.rights import EVERYTHING, REGISTRY, ROLE, Needed
from mcp_targets._aws.session import Aws, Wanted
from mcp_targets.aws_lambda.image import is_image
from mcp_targets.aws_lambda.options import Options
from mcp_targets.aws_lambda.place import where

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

_FUNCTION: Final = "arn:{partition}:lambda:{region}:{account}:function:*"
_PARAMETERS: Final = "arn:{partition}:ssm:{region}:{account}:parameter/mcp-pack/*"
_GROUPS: Final = "arn:{partition}:logs:{region}:{account}:log-group:/aws/lambda/*"

NEEDED: Final = (
    *(replace(one, why="the function's role", always=True) for one in ROLE),
    Needed(
        "lambda",
        (
            "AddPermission",
            "CreateAlias",
            "CreateFunction",
            "CreateFunctionUrlConfig",
            "DeleteAlias",
            "DeleteFunction",
            "DeleteFunctionUrlConfig",
            "GetAlias",
            "GetFunction",
            "GetFunctionConfiguration",
            "GetFunctionUrlConfig",
            "GetPolicy",
            "GetProvisionedConcurrencyConfig",
            "InvokeFunction",
            "ListVersionsByFunction",
            "PublishVersion",
            "RemovePermission",
            "TagResource",
            "UpdateAlias",
            "UpdateFunctionCode",
            "UpdateFunctionConfiguration",
            "UpdateFunctionUrlConfig",
        ),
        _FUNCTION,
        "the function, its versions and its URL",
    ),
    Needed(
        "lambda",
        ("InvokeFunctionUrl",),
        _FUNCTION,
        "the look at a URL where AWS asks who is calling",
        always=False,
    ),
    Needed(
        "lambda",
        (
            "DeleteFunctionConcurrency",
            "DeleteProvisionedConcurrencyConfig",
            "PutFunctionConcurrency",
            "PutProvisionedConcurrencyConfig",
        ),
        _FUNCTION,
        "concurrency of [target.lambda]",
        always=False,
    ),
    Needed("ssm", ("DescribeParameters",), EVERYTHING, "secrets, keys, releases and the lock"),
    Needed(
        "ssm",
        ("AddTagsToResource", "DeleteParameters", "GetParameterHistory", "GetParametersByPath", "PutParameter"),
        _PARAMETERS,
        "secrets, keys, releases and the lock",
    ),
    Needed("logs", ("DescribeLogGroups",), EVERYTHING, "the function's log"),
    Needed(
        "logs",
        (
            "CreateLogGroup",
            "DeleteLogGroup",
            "FilterLogEvents",
            "ListTagsForResource",
            "PutRetentionPolicy",
            "TagResource",
        ),
        _GROUPS,
        "the function's log",
    ),
    Needed("cloudwatch", ("DescribeAlarms",), EVERYTHING, "the alarms of a canary"),
    Needed(
        "cloudwatch",
        ("DeleteAlarms", "ListTagsForResource", "PutMetricAlarm", "TagResource"),
        "arn:{partition}:cloudwatch:{region}:{account}:alarm:*",
        "the alarms of a canary",
        always=False,
    ),
)
"""What every function takes."""

IMAGE: Final = (
    *REGISTRY,
    Needed(
        "ecr",
        ("GetRepositoryPolicy", "SetRepositoryPolicy"),
        "arn:{partition}:ecr:{region}:{account}:repository/*",
        "Lambda's own right to read the image",
    ),
)
"""What one takes that is shipped as an image."""

HTTP_API: Final = (
    Needed("apigateway", ("GET", "POST"), "arn:{partition}:apigateway:{region}::/apis", "the HTTP API"),
    Needed(
        "apigateway",
        ("DELETE", "GET", "PATCH", "POST"),
        "arn:{partition}:apigateway:{region}::/apis/*",
        "the HTTP API, its routes and its stage",
    ),
    Needed("apigateway", ("POST",), "arn:{partition}:apigateway:{region}::/tags/*", "the HTTP API's tags"),
    Needed(
        "execute-api",
        ("Invoke",),
        "arn:{partition}:execute-api:{region}:{account}:*",
        "the look at an HTTP API where AWS asks who is calling",
        always=False,
    ),
)
"""What one takes whose front is an HTTP API. API Gateway's actions are HTTP's methods."""

_BALANCING: Final = "arn:{partition}:elasticloadbalancing:{region}:{account}:"
BALANCER: Final = (
    Needed(
        "elasticloadbalancing",
        (
            "DescribeListeners",
            "DescribeLoadBalancerAttributes",
            "DescribeRules",
            "DescribeTags",
            "DescribeTargetGroupAttributes",
            "DescribeTargetGroups",
            "DescribeTargetHealth",
            "SetRulePriorities",
        ),
        EVERYTHING,
        "the load balancer's rules and target groups",
    ),
    Needed(
        "elasticloadbalancing",
        (
            "AddTags",
            "CreateTargetGroup",
            "DeleteTargetGroup",
            "DeregisterTargets",
            "ModifyTargetGroup",
            "ModifyTargetGroupAttributes",
            "RegisterTargets",
        ),
        f"{_BALANCING}targetgroup/*",
        "the target group",
    ),
    Needed("elasticloadbalancing", ("AddTags", "CreateRule"), f"{_BALANCING}listener/app/*", "the listener's rule"),
    Needed(
        "elasticloadbalancing",
        ("AddTags", "DeleteRule", "ModifyRule"),
        f"{_BALANCING}listener-rule/app/*",
        "the listener's rule",
    ),
)
"""What one takes whose front is a load balancer."""

BUCKET: Final = (
    Needed("s3", ("DeleteObject", "PutObject"), "arn:{partition}:s3:::*/mcp-pack/*", "zips over 50 MB", always=False),
)


def examined(manifest: Manifest, options: Options) -> Examination:
    """What was found, and the IAM policy that a deployer needs."""
    needed = needed_for(options)
    missing = tuple(unplaced(manifest, options, "lambda"))
    if missing:
        return nowhere(missing, needed)
    place = where(manifest, options)
    grant = Examination((), (policy_of(needed, place.partition, place.region, place.account),))
    aws = Aws(Wanted(place.region, place.account))
    caller = who(aws)
    if caller.state == "broken":
        return Examination((caller,)).and_then(grant)
    return Examination((caller, *allowed(aws, needed), *_room(aws, options))).and_then(grant)


def needed_for(options: Options) -> tuple[Needed, ...]:
    """What a deployer with these options needs."""
    shipped = IMAGE if is_image(options) else ()
    doors = {"url": (), "http-api": HTTP_API, "alb": BALANCER}[options.front]
    return (*NEEDED, *shipped, *doors, *(BUCKET if options.bucket is not None else ()))


def _room(aws: Aws, options: Options) -> Iterator[Finding]:
    """Whether the account has environments left to reserve: 100 stay for functions that reserve none."""
    wanted = options.concurrency.reserved
    if wanted is None:
        return
    name, need = "environments to reserve", "reserved of [target.lambda.concurrency]"
    try:
        with speaking("ask how many environments the account may have"):
            limit = aws.client("lambda").get_account_settings()["AccountLimit"]
    except PackError as error:
        yield Finding(name, "missing", f"could not be looked at: {error.problems[0].what}", need)
        return
    left = int(limit["UnreservedConcurrentExecutions"]) - _KEPT_FREE
    enough = wanted <= left
    detail = f"{max(left, 0)} of {limit['ConcurrentExecutions']} can be reserved"
    yield Finding(
        name,
        "ok" if enough else "missing",
        detail,
        need,
        None if enough else "reserve fewer, or have the account's quota raised",
    )


_KEPT_FREE: Final = 100
"""Lambda developer guide, "Configuring reserved concurrency"."""

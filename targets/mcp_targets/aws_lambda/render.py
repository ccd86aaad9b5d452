"""What should be in the account, as resources. Pure: from data to data.

Fields that AWS is sent are spelled as its API spells them, which is also how CloudFormation does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from mcp_packager.target import (
    DesiredInput,
    Key,
    Lifetime,
    Phase,
    Ref,
    Resource,
    Value,
    digest,
    key_resources,
    keys_of,
    secret_resources,
)
from mcp_targets._aws import documents, iam
from mcp_targets.aws_lambda import image
from mcp_targets.aws_lambda.code import no_bucket
from mcp_targets.aws_lambda.doors import LIVE, door
from mcp_targets.aws_lambda.options import ALARMS, Alarm, Options
from mcp_targets.aws_lambda.package import HANDLER, WRAPPER
from mcp_targets.aws_lambda.place import Where, function_name, log_group_name, parameters, where
from mcp_targets.aws_lambda.settings import KEPT, NAMESPACE, config_document, timeout

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

LOG_GROUP: Final = "log-group"
FUNCTION: Final = "function"
VERSION: Final = "version"
ALIAS: Final = "alias"
RESERVED: Final = "reserved-concurrency"
PROVISIONED: Final = "provisioned-concurrency"
ALARM: Final = "alarm"

READS: Final = "reads"
"""The alias's field that tells two versions of one name apart: which version of each kept secret it reads."""

_MIB: Final = 2**20
_PERIOD: Final = 60
CANARY_ALARMS: Final[frozenset[Alarm]] = frozenset({"calls", "invocations"})
"""What tells that a version is worse: of a slow call or a throttled one it may be no fault of the code's."""

_OF_LAMBDA: Final = "AWS/Lambda"
_SLOW: Final = 0.8
"""The share of the function's time that the slowest hundredth of its invocations may take."""
_EACH: Final[Mapping[str, Value]] = {
    "Period": _PERIOD,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "TreatMissingData": "notBreaching",
}
_ANY: Final[Mapping[str, Value]] = {"Statistic": "Sum", "Threshold": 1, "EvaluationPeriods": 1}
_SERVICE: Final = "lambda.amazonaws.com"
_NETWORK_ACTIONS: Final = (
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
)
"""What a function in a network needs (Lambda developer guide, "Giving Lambda functions access to a VPC")."""


def resources(request: DesiredInput, options: Options) -> tuple[Resource, ...]:
    """Everything one deployment is made of.

    Raises:
        UserError: account or region are not known, or the zip is too large for a request and no bucket is named.
    """
    manifest, identity, place = request.manifest, request.identity, where(request.manifest, options)
    role, policy = _role(request, options, place)
    group = Resource(LOG_GROUP, log_group_name(identity), {"retentionInDays": options.retention})
    secrets = secret_resources(manifest, names=kept(manifest))
    keys = key_resources(request.config)
    shipped = _shipped(request, options)
    if request.artifact.facts.get("through_s3") and options.bucket is None:
        raise no_bucket()
    fields = _function(request, options, role, group)
    needs = (policy.key, *(one.key for one in (*shipped, *secrets, *keys)))
    function = Resource(FUNCTION, function_name(identity), fields, needs, phase=Phase.CANDIDATE)
    # Named by all that makes it: the same again is the version that is there.
    version = Resource(
        VERSION,
        digest({**fields, "role": role.name})[:16],
        {"FunctionName": function.name, "made_of": {"code": fields["code"], "config": fields["config"]}},
        (function.key,),
        phase=Phase.CANDIDATE,
        lifetime=Lifetime.RELEASE,
    )
    return (
        role,
        policy,
        group,
        *secrets,
        *keys,
        *shipped,
        function,
        version,
        *_reachable(request, options, place, function, version),
        *_bounds(options, function),
        *_alarms(request, options, function),
    )


def kept(manifest: Manifest) -> tuple[str, ...]:
    """The secrets whose values the deploy reads and keeps."""
    return tuple(name for name, secret in sorted(manifest.secrets.items()) if secret.source(name)[0] in KEPT)


def permitted(request: DesiredInput, options: Options, place: Where) -> list[documents.Document]:
    """What the function may do: write to its own log, read its own secrets, and what the manifest declares."""
    manifest, identity = request.manifest, request.identity
    group = place.arn("logs", f"log-group:{log_group_name(identity)}")
    statements: list[documents.Document] = [
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": [f"{group}:*"],
        },
        *_reading(request, place),
        *documents.statements_of(manifest.permissions.aws),
    ]
    if options.vpc is not None:
        statements.append({"Effect": "Allow", "Action": list(_NETWORK_ACTIONS), "Resource": ["*"]})
    if options.dead_letters is not None:
        action = "sns:Publish" if ":sns:" in options.dead_letters else "sqs:SendMessage"
        statements.append({"Effect": "Allow", "Action": [action], "Resource": [options.dead_letters]})
    return statements


def _reading(request: DesiredInput, place: Where) -> list[documents.Document]:
    manifest, identity = request.manifest, request.identity
    sources = [secret.source(name) for name, secret in manifest.secrets.items()]
    secrets = {rest.partition("#")[0] for scheme, rest in sources if scheme == "aws-sm"}
    own = [("aws-ssm", f"{parameters(identity)}/{key.kind}s/{key.name}") for key in keys_of(request.config)]
    own += [("aws-ssm", f"{parameters(identity)}/secrets/{name}") for name in kept(manifest)]
    account = {"partition": place.partition, "region": place.region, "account": place.account}
    # The runtime reads many at once; that is another right than reading one.
    made = [
        {**one, "Action": ["ssm:GetParameters"]} if one["Action"] == ["ssm:GetParameter"] else one
        for one in documents.reading((*sources, *own), **account)
    ]
    if len(secrets) > 1:
        made.append({"Effect": "Allow", "Action": ["secretsmanager:BatchGetSecretValue"], "Resource": ["*"]})
    return made


def _role(request: DesiredInput, options: Options, place: Where) -> tuple[Resource, Resource]:
    name = iam.role_name(request.identity)
    fields = {"trust": documents.service_trust(_SERVICE), "boundary": options.boundary}
    role = Resource(iam.ROLE_KIND, name, fields)
    document = documents.policy(permitted(request, options, place))
    return role, Resource(iam.POLICY_KIND, digest(document)[:16], {"role": name, "document": document}, (role.key,))


def _shipped(request: DesiredInput, options: Options) -> tuple[Resource, ...]:
    """Where the code lies that the function is made of, if that is not sent with it."""
    if not image.is_image(options):
        return ()
    return image.resources(request.artifact, request.identity, options)


def _packed(request: DesiredInput, options: Options) -> tuple[dict[str, Value], dict[str, Value]]:
    """Settings that a zip or an image has alone, and the fields beside them: form, variables, code."""
    artifact = request.artifact
    if image.is_image(options):
        return image.settings(options), {"PackageType": "Image", "variables": {}, "code": image.code(artifact)}
    settings: dict[str, Value] = {
        "Runtime": artifact.facts["runtime"],
        "Handler": HANDLER,
        "SnapStart": {"ApplyOn": "PublishedVersions" if options.snap_start else "None"},
    }
    return settings, {
        "PackageType": "Zip",
        "variables": {"AWS_LAMBDA_EXEC_WRAPPER": WRAPPER} if options.streaming else {},
        "code": {"sha256": artifact.digest.removeprefix("sha256:"), "size": artifact.size},
    }


def _function(request: DesiredInput, options: Options, role: Resource, group: Resource) -> dict[str, Value]:
    """How the function is wanted: `settings` as AWS is sent them, the config that goes into its variables, its code."""
    manifest = request.manifest
    form, fields = _packed(request, options)
    settings: dict[str, Value] = {
        "Role": Ref(role.key, "arn"),
        **form,
        "Description": f"{request.identity}, deployed by mcp-pack"[:256],
        "MemorySize": options.memory // _MIB,
        "Timeout": timeout(manifest, options),
        "EphemeralStorage": {"Size": options.storage // _MIB},
        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": group.name, "SystemLogLevel": "INFO"},
        "VpcConfig": {
            "SubnetIds": sorted(options.vpc.subnets) if options.vpc else [],
            "SecurityGroupIds": sorted(options.vpc.security_groups) if options.vpc else [],
        },
        "DeadLetterConfig": {"TargetArn": options.dead_letters or ""},
        "TracingConfig": {"Mode": "PassThrough"},
    }
    return {
        "settings": settings,
        "Architectures": [options.architecture],
        "config": config_document(request),
        **fields,
    }


def _reachable(
    request: DesiredInput, options: Options, place: Where, function: Resource, version: Resource
) -> tuple[Resource, ...]:
    """The alias, and the door that leads clients to it."""
    reads = {name: Ref(Key("secret", name), "parameter") for name in kept(request.manifest)}
    alias = Resource(
        ALIAS,
        LIVE,
        {"FunctionName": function.name, "FunctionVersion": Ref(version.key, "number"), READS: reads},
        (function.key,),
        phase=Phase.SWITCH,
    )
    return (alias, *door(request, options, place, function, alias))


def _bounds(options: Options, function: Resource) -> tuple[Resource, ...]:
    made = []
    if (reserved := options.concurrency.reserved) is not None:
        fields: dict[str, Value] = {"FunctionName": function.name, "ReservedConcurrentExecutions": reserved}
        # Of the function, which is made with the candidate, and for all that clients reach.
        made.append(Resource(RESERVED, function.name, fields, (function.key,), phase=Phase.SWITCH))
    if (provisioned := options.concurrency.provisioned) is not None:
        fields = {
            "FunctionName": function.name,
            "Qualifier": LIVE,
            "ProvisionedConcurrentExecutions": provisioned,
        }
        made.append(Resource(PROVISIONED, LIVE, fields, (Key(ALIAS, LIVE),), phase=Phase.SWITCH))
    return tuple(made)


def alarm_name(function: str, alarm: Alarm) -> str:
    """What an alarm of a function is called."""
    return f"{function}-{alarm}"


def alarm_names(function: str) -> tuple[str, ...]:
    """What the alarms of a function are called that a canary is watched by."""
    return tuple(alarm_name(function, alarm) for alarm in ALARMS if alarm in CANARY_ALARMS)


def _alarms(request: DesiredInput, options: Options, function: Resource) -> Iterator[Resource]:
    """Those that are asked for, and those that a canary is watched by."""
    wanted = set(ALARMS if options.alarms is True else options.alarms or ())
    if options.strategy == "canary":
        wanted |= CANARY_ALARMS
    by_tool = [
        {"Name": "service", "Value": request.identity.tool},
        {"Name": "stage", "Value": request.identity.stage},
    ]
    by_function = [{"Name": "FunctionName", "Value": function.name}]
    slow = round(timeout(request.manifest, options) * 1000 * _SLOW)
    told = {
        "calls": {"Namespace": NAMESPACE, "MetricName": "Errors", "Dimensions": by_tool, **_ANY},
        "invocations": {"Namespace": _OF_LAMBDA, "MetricName": "Errors", "Dimensions": by_function, **_ANY},
        "throttles": {"Namespace": _OF_LAMBDA, "MetricName": "Throttles", "Dimensions": by_function, **_ANY},
        "duration": {
            "Namespace": _OF_LAMBDA,
            "MetricName": "Duration",
            "Dimensions": by_function,
            "ExtendedStatistic": "p99",
            "Threshold": slow,
            "EvaluationPeriods": 5,
        },
    }
    actions = list(options.alarm_actions)
    for alarm in ALARMS:
        if alarm in wanted:
            fields = {**_EACH, **told[alarm], "AlarmActions": actions, "OKActions": actions}
            yield Resource(ALARM, alarm_name(function.name, alarm), fields)

"""What makes a function, in one spelling: that of the API's calls.

:func:`called` says it of the calls that a deploy made, :func:`templated` of the template for CloudFormation,
:func:`configured` of Terraform's file. Each knows every kind and every name it may meet; another one is an error, so
that nothing is left out unseen. What only AWS knows stands as ``<role>``, ``<version>`` and so on.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from mcp_packager.target import Value
from mcp_targets.aws_lambda.settings import CONFIG

Calls = dict[str, dict[str, Any]]
"""Arguments by call; calls that are made more than once have a word behind them."""

ROLE, VERSION, CODE, SUM = "<role>", "<version>", "<code>", "<sum of the code>"
NOTHING: Final = "<nothing>"

_NONE: Final[Mapping[str, Value]] = MappingProxyType(
    {
        "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
        "DeadLetterConfig": {"TargetArn": ""},
        "SnapStart": {"ApplyOn": "None"},
    }
)
"""How the API says that there is none; the files leave it away."""


_MORE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "they prove whose a thing is, which nobody asks of what was not deployed": frozenset(
            {"CreateRole Tags", "CreateLogGroup tags", "CreateFunction Tags", "TagResource"}
        ),
        "by it the deploy finds its own again": frozenset(
            {"AddPermission StatementId", "PutRolePolicy PolicyName", "PublishVersion Description"}
        ),
        "whoever reads the role is told": frozenset({"CreateRole Description"}),
        "it is held against two deploys at once": frozenset({"PublishVersion RevisionId", "AddPermission RevisionId"}),
        "keys and secrets, records and the lock: a deploy's own": frozenset({"PutParameter", "AddTagsToResource"}),
        "nobody moves traffic by steps there, whom an alarm would tell to go back": frozenset({"PutMetricAlarm"}),
        "somebody else's: the image's place is a parameter": frozenset({"CreateRepository", "PutLifecyclePolicy"}),
    }
)
"""What a deploy sends beside that, with the reason: calls, and arguments of calls."""

_READ: Final = ("Get", "List", "Describe", "BatchGet")


def called(recorded: Iterable[tuple[str, Mapping[str, Any]]]) -> Calls:
    """Calls as boto3 made them: what was only read left out, and what :data:`_MORE` names."""
    beside = frozenset().union(*_MORE.values())
    made: Calls = {}
    for call, arguments in recorded:
        if call.startswith(_READ) or call in beside:
            continue
        name = f"{call} {arguments['StatementId'].rpartition('-')[2]}" if call == "AddPermission" else call
        assert name not in made, name
        kept = {key: value for key, value in arguments.items() if f"{call} {key}" not in beside}
        made[name] = {key: _said(call, key, value) for key, value in kept.items()}
    made["CreateFunction"] = _without_nothing(made["CreateFunction"])
    return made


def _said(call: str, argument: str, value: Any) -> Any:
    match call, argument:
        case "CreateRole", "AssumeRolePolicyDocument":
            return json.loads(value)
        case "PutRolePolicy", "PolicyDocument":
            return _rights(json.loads(value))
        case "CreateFunction", "Role":
            return ROLE
        case "CreateFunction", "Code":
            (how,) = value
            return {how: CODE}
        case "CreateFunction", "Environment":
            return {"Variables": _unpacked(value["Variables"])}
        case "PublishVersion", "CodeSha256":
            return SUM
        case "CreateAlias", "FunctionVersion":
            return VERSION
        case _:
            return value


def templated(document: Mapping[str, Any]) -> Calls:
    """The calls that CloudFormation makes of a template."""
    made: Calls = {}
    resources = dict(document["Resources"])
    function = resources["Function"]["Properties"]["FunctionName"]
    for name, one in resources.items():
        properties = dict(one["Properties"])
        match one["Type"].split("::")[1:]:
            case ["IAM", "Role"]:
                (policy,) = properties.pop("Policies")
                made["CreateRole"] = properties
                rights = {"PolicyDocument": _rights(policy["PolicyDocument"])}
                made["PutRolePolicy"] = {"RoleName": properties["RoleName"], **rights}
            case ["Logs", "LogGroup"]:
                group = {"logGroupName": properties.pop("LogGroupName")}
                made["CreateLogGroup"] = group
                made["PutRetentionPolicy"] = {**group, "retentionInDays": properties.pop("RetentionInDays")}
                assert not properties
            case ["Lambda", "Function"]:
                reserved = properties.pop("ReservedConcurrentExecutions", None)
                if reserved is not None:
                    arguments = {"FunctionName": function, "ReservedConcurrentExecutions": reserved}
                    made["PutFunctionConcurrency"] = arguments
                assert properties["Role"] == {"Fn::GetAtt": ["Role", "Arn"]}
                code = {"ImageUri" if "ImageUri" in properties["Code"] else "ZipFile": CODE}
                variables = {"Variables": _unpacked(properties["Environment"]["Variables"])}
                known = {"Role": ROLE, "Code": code, "Environment": variables}
                made["CreateFunction"] = _without_nothing({**properties, **known})
            case ["Lambda", "Version"]:
                made["PublishVersion"] = {**properties, "FunctionName": function, "CodeSha256": SUM}
                version = name
            case ["Lambda", "Alias"]:
                assert properties["FunctionVersion"] == {"Fn::GetAtt": [version, "Version"]}
                waiting = properties.pop("ProvisionedConcurrencyConfig", None)
                made["CreateAlias"] = {**properties, "FunctionName": function, "FunctionVersion": VERSION}
                if waiting is not None:
                    where = {"FunctionName": function, "Qualifier": properties["Name"]}
                    made["PutProvisionedConcurrencyConfig"] = {**where, **waiting}
            case ["Lambda", "Url"]:
                assert properties.pop("TargetFunctionArn") == {"Ref": "Function"}
                made["CreateFunctionUrlConfig"] = {"FunctionName": function, **properties}
            case ["Lambda", "Permission"]:
                assert properties.pop("FunctionName") == {"Ref": "Alias"}
                where = {"FunctionName": function, "Qualifier": resources["Alias"]["Properties"]["Name"]}
                made[f"AddPermission {name.removeprefix('May').lower()}"] = {**where, **properties}
            case ["SecretsManager", "Secret"]:
                assert name == "StateKey"
            case kind:
                raise AssertionError(f"nothing is known of {kind}")
    return made


_BY_TERRAFORM: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "aws_iam_role": {
            "name": "CreateRole RoleName",
            "assume_role_policy": "CreateRole AssumeRolePolicyDocument",
            "permissions_boundary": "CreateRole PermissionsBoundary",
        },
        "aws_iam_role_policy": {
            "name": "",
            "role": "PutRolePolicy RoleName",
            "policy": "PutRolePolicy PolicyDocument",
        },
        "aws_cloudwatch_log_group": {
            "name": "CreateLogGroup logGroupName",
            "retention_in_days": "PutRetentionPolicy retentionInDays",
        },
        "aws_lambda_function": {
            "function_name": "CreateFunction FunctionName",
            "description": "CreateFunction Description",
            "role": "CreateFunction Role",
            "runtime": "CreateFunction Runtime",
            "handler": "CreateFunction Handler",
            "architectures": "CreateFunction Architectures",
            "package_type": "CreateFunction PackageType",
            "memory_size": "CreateFunction MemorySize",
            "timeout": "CreateFunction Timeout",
            "filename": "CreateFunction Code.ZipFile",
            "image_uri": "CreateFunction Code.ImageUri",
            "s3_bucket": "CreateFunction Code.S3Bucket",
            "s3_key": "CreateFunction Code.S3Key",
            "image_config.entry_point": "CreateFunction ImageConfig.EntryPoint",
            "image_config.command": "CreateFunction ImageConfig.Command",
            "image_config.working_directory": "CreateFunction ImageConfig.WorkingDirectory",
            "ephemeral_storage.size": "CreateFunction EphemeralStorage.Size",
            "environment.variables": "CreateFunction Environment.Variables",
            "logging_config.log_format": "CreateFunction LoggingConfig.LogFormat",
            "logging_config.log_group": "CreateFunction LoggingConfig.LogGroup",
            "logging_config.system_log_level": "CreateFunction LoggingConfig.SystemLogLevel",
            "tracing_config.mode": "CreateFunction TracingConfig.Mode",
            "snap_start.apply_on": "CreateFunction SnapStart.ApplyOn",
            "vpc_config.subnet_ids": "CreateFunction VpcConfig.SubnetIds",
            "vpc_config.security_group_ids": "CreateFunction VpcConfig.SecurityGroupIds",
            "dead_letter_config.target_arn": "CreateFunction DeadLetterConfig.TargetArn",
            "reserved_concurrent_executions": "PutFunctionConcurrency ReservedConcurrentExecutions",
            "source_code_hash": "PublishVersion CodeSha256",
            "publish": "",
            "depends_on": "",
        },
        "aws_lambda_alias": {
            "name": "CreateAlias Name",
            "function_name": "CreateAlias FunctionName",
            "function_version": "CreateAlias FunctionVersion",
        },
        "aws_lambda_function_url": {
            "function_name": "CreateFunctionUrlConfig FunctionName",
            "qualifier": "CreateFunctionUrlConfig Qualifier",
            "authorization_type": "CreateFunctionUrlConfig AuthType",
            "invoke_mode": "CreateFunctionUrlConfig InvokeMode",
        },
        "aws_lambda_permission": {
            "function_name": "AddPermission FunctionName",
            "qualifier": "AddPermission Qualifier",
            "action": "AddPermission Action",
            "principal": "AddPermission Principal",
            "function_url_auth_type": "AddPermission FunctionUrlAuthType",
            "invoked_via_function_url": "AddPermission InvokedViaFunctionUrl",
        },
        "aws_lambda_provisioned_concurrency_config": {
            "function_name": "PutProvisionedConcurrencyConfig FunctionName",
            "qualifier": "PutProvisionedConcurrencyConfig Qualifier",
            "provisioned_concurrent_executions": "PutProvisionedConcurrencyConfig ProvisionedConcurrentExecutions",
        },
    }
)
"""Which argument of which call an attribute of the provider becomes (its documentation, resource by resource)."""

_OF_THE_KEY: Final = frozenset({"random_password", "aws_secretsmanager_secret", "aws_secretsmanager_secret_version"})


def configured(document: Mapping[str, Any]) -> Calls:
    """The calls that Terraform makes of its file."""
    made: Calls = {}
    found = document["resource"]
    names = {
        "${aws_iam_role.tool.id}": found["aws_iam_role"]["tool"]["name"],
        "${aws_iam_role.tool.arn}": ROLE,
        "${aws_cloudwatch_log_group.tool.name}": found["aws_cloudwatch_log_group"]["tool"]["name"],
        "${aws_lambda_function.tool.function_name}": found["aws_lambda_function"]["tool"]["function_name"],
        "${aws_lambda_function.tool.version}": VERSION,
        "${aws_lambda_alias.live.name}": found["aws_lambda_alias"]["live"]["name"],
    }
    for kind, each in found.items():
        if kind in _OF_THE_KEY:
            continue
        for name, attributes in each.items():
            for attribute, value in _attributes(attributes, _BY_TERRAFORM[kind]):
                call, _, argument = _BY_TERRAFORM[kind][attribute].partition(" ")
                if call:
                    at = f"{call} {name}" if call == "AddPermission" else call
                    _put(made.setdefault(at, {}), argument, _value(argument, names.get(str(value), value)))
    function = names["${aws_lambda_function.tool.function_name}"]
    assert found["aws_lambda_function"]["tool"]["publish"] is True
    for call in ("PublishVersion", *(call for call in made if call == "PutFunctionConcurrency")):
        made.setdefault(call, {})["FunctionName"] = function
    made["PutRetentionPolicy"].update(made["CreateLogGroup"])
    return made


def _attributes(of: Mapping[str, Any], known: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Attributes, those of blocks behind the block's name."""
    for name, value in of.items():
        if name in known:
            yield name, value
        else:
            assert isinstance(value, dict), name
            for inner, each in value.items():
                yield f"{name}.{inner}", each


def _value(argument: str, value: Any) -> Any:
    match argument:
        case "AssumeRolePolicyDocument":
            return json.loads(value)
        case "PolicyDocument":
            return _rights(json.loads(value.replace("$${", "${")))
        case "Environment.Variables":
            return _unpacked(value)
        case "Code.ZipFile" | "Code.ImageUri":
            return CODE
        case "CodeSha256":
            return SUM
        case _:
            return value


def _put(into: dict[str, Any], argument: str, value: Any) -> None:
    outer, _, inner = argument.partition(".")
    if inner:
        into.setdefault(outer, {})[inner] = value
    else:
        into[outer] = value


def _without_nothing(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if _NONE.get(name) != value}


def _unpacked(variables: Mapping[str, str]) -> dict[str, Any]:
    packed = base64.b64decode(variables[CONFIG])
    return {**variables, CONFIG: _unnumbered(json.loads(zlib.decompress(packed)))}


def _unnumbered(value: Any) -> Any:
    """A config without the versions of parameters, which only Parameter Store knows."""
    match value:
        case {"aws-ssm": str(place)}:
            return {"aws-ssm": place.partition(":")[0]}
        case dict():
            return {name: _unnumbered(each) for name, each in value.items()}
        case list():
            return [_unnumbered(each) for each in value]
        case _:
            return value


def _rights(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """What may be done, on what."""
    found: dict[str, list[str]] = {}
    for one in document["Statement"]:
        assert set(one) == {"Effect", "Action", "Resource"}
        assert one["Effect"] == "Allow"
        for action in one["Action"]:
            found[action] = sorted({*found.get(action, []), *one["Resource"]})
    return found


def flat(calls: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Each value under the names that lead to it; what lists hold is one value."""
    found: dict[str, Any] = {}
    for name, value in calls.items():
        path = f"{before}{name}"
        if isinstance(value, Mapping) and value:
            found.update(flat(value, f"{path} > "))
        else:
            found[path] = list(value) if isinstance(value, tuple) else value
    return found


def differing(one: Calls, other: Calls) -> dict[str, tuple[Any, Any]]:
    """Where two differ, with both values; `NOTHING` where one has none."""
    left, right = flat(one), flat(other)
    pairs = {path: (left.get(path, NOTHING), right.get(path, NOTHING)) for path in {*left, *right}}
    return {path: pair for path, pair in sorted(pairs.items()) if pair[0] != pair[1]}

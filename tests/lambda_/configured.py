"""What makes a function by Terraform's file, in the spelling of the API's calls."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from tests.lambda_.emitted import ALIAS, API, CODE, GROUP, INTEGRATION, ROLE, SUM, VERSION, Calls, rights, unpacked

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
            "source_arn": "AddPermission SourceArn",
        },
        "aws_apigatewayv2_api": {
            "name": "CreateApi Name",
            "protocol_type": "CreateApi ProtocolType",
            "description": "CreateApi Description",
            "disable_execute_api_endpoint": "CreateApi DisableExecuteApiEndpoint",
        },
        "aws_apigatewayv2_integration": {
            "api_id": "CreateIntegration ApiId",
            "integration_type": "CreateIntegration IntegrationType",
            "integration_method": "CreateIntegration IntegrationMethod",
            "integration_uri": "CreateIntegration IntegrationUri",
            "payload_format_version": "CreateIntegration PayloadFormatVersion",
            "timeout_milliseconds": "CreateIntegration TimeoutInMillis",
        },
        "aws_apigatewayv2_route": {
            "api_id": "CreateRoute ApiId",
            "route_key": "CreateRoute RouteKey",
            "authorization_type": "CreateRoute AuthorizationType",
            "target": "CreateRoute Target",
        },
        "aws_apigatewayv2_stage": {
            "api_id": "CreateStage ApiId",
            "name": "CreateStage StageName",
            "auto_deploy": "CreateStage AutoDeploy",
        },
        "aws_lb_target_group": {
            "name": "CreateTargetGroup Name",
            "target_type": "CreateTargetGroup TargetType",
            "health_check.enabled": "CreateTargetGroup HealthCheckEnabled",
            "lambda_multi_value_headers_enabled": "ModifyTargetGroupAttributes Attributes",
        },
        "aws_lb_target_group_attachment": {
            "target_group_arn": "RegisterTargets TargetGroupArn",
            "target_id": "RegisterTargets Targets",
            "depends_on": "",
        },
        "aws_lb_listener_rule": {
            "listener_arn": "CreateRule ListenerArn",
            "priority": "CreateRule Priority",
            "condition": "CreateRule Conditions",
            "action": "CreateRule Actions",
        },
        "aws_cloudwatch_metric_alarm": {
            "alarm_name": "PutMetricAlarm AlarmName",
            "namespace": "PutMetricAlarm Namespace",
            "metric_name": "PutMetricAlarm MetricName",
            "dimensions": "PutMetricAlarm Dimensions",
            "statistic": "PutMetricAlarm Statistic",
            "extended_statistic": "PutMetricAlarm ExtendedStatistic",
            "period": "PutMetricAlarm Period",
            "evaluation_periods": "PutMetricAlarm EvaluationPeriods",
            "threshold": "PutMetricAlarm Threshold",
            "comparison_operator": "PutMetricAlarm ComparisonOperator",
            "treat_missing_data": "PutMetricAlarm TreatMissingData",
            "alarm_actions": "PutMetricAlarm AlarmActions",
            "ok_actions": "PutMetricAlarm OKActions",
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
        "${aws_lambda_alias.live.arn}": ALIAS,
        "${aws_apigatewayv2_api.tool.id}": API,
        "integrations/${aws_apigatewayv2_integration.live.id}": INTEGRATION,
        "${aws_lb_target_group.tool.arn}": GROUP,
    }
    for kind, each in found.items():
        if kind in _OF_THE_KEY:
            continue
        for name, attributes in each.items():
            for attribute, value in _attributes(attributes, _BY_TERRAFORM[kind]):
                call, _, argument = _BY_TERRAFORM[kind][attribute].partition(" ")
                if call:
                    at = _which(call, name, attributes)
                    _put(made.setdefault(at, {}), argument, _value(argument, names.get(str(value), value)))
    function = names["${aws_lambda_function.tool.function_name}"]
    assert found["aws_lambda_function"]["tool"]["publish"] is True
    for call in ("PublishVersion", *(call for call in made if call == "PutFunctionConcurrency")):
        made.setdefault(call, {})["FunctionName"] = function
    made["PutRetentionPolicy"].update(made["CreateLogGroup"])
    if "ModifyTargetGroupAttributes" in made:
        made["ModifyTargetGroupAttributes"]["TargetGroupArn"] = GROUP
    return made


def _which(call: str, name: str, attributes: Mapping[str, Any]) -> str:
    if call in {"AddPermission", "PutMetricAlarm"}:
        return f"{call} {name}"
    return f"{call} {attributes['route_key']}" if call == "CreateRoute" else call


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
            return rights(json.loads(value.replace("$${", "${")))
        case "Environment.Variables":
            return unpacked(value)
        case "Code.ZipFile" | "Code.ImageUri":
            return CODE
        case "CodeSha256":
            return SUM
        case "SourceArn":
            return value.replace("${aws_apigatewayv2_api.tool.id}", API)
        case "Targets":
            return [{"Id": value}]
        case "Attributes":
            return [{"Key": "lambda.multi_value_headers.enabled", "Value": str(value).lower()}]
        case "Dimensions":
            return [{"Name": name, "Value": each} for name, each in value.items()]
        case "Conditions":
            return [_condition(one) for one in value]
        case "Actions":
            return [{"Type": one["type"], "TargetGroupArn": GROUP} for one in value]
        case _:
            return value


def _condition(one: Mapping[str, Any]) -> dict[str, Any]:
    ((kind, held),) = one.items()
    name = "".join(part.capitalize() for part in kind.split("_"))
    return {"Field": kind.replace("_", "-"), f"{name}Config": {"Values": held["values"]}}


def _put(into: dict[str, Any], argument: str, value: Any) -> None:
    outer, _, inner = argument.partition(".")
    if inner:
        into.setdefault(outer, {})[inner] = value
    else:
        into[outer] = value

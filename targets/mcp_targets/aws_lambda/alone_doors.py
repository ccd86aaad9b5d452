"""The door and the alarms of who deploys without mcp-pack, for CloudFormation and for Terraform. Pure.

Properties are those of the API, which CloudFormation spells as it does, and Terraform in words of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.target import Ref, Resource, Value
from mcp_packager.target.values import Generated, resolve
from mcp_targets.aws_lambda.doors import (
    API,
    INTEGRATION,
    MULTI,
    ROUTE,
    RULE,
    STAGE,
    TARGET,
    TARGET_GROUP,
    URL,
)

if TYPE_CHECKING:
    from mcp_targets.aws_lambda.alone import Alone
    from mcp_targets.aws_lambda.place import Where

_API_TYPES: Final = {
    API: ("Api", "AWS::ApiGatewayV2::Api"),
    INTEGRATION: ("Integration", "AWS::ApiGatewayV2::Integration"),
    STAGE: ("Stage", "AWS::ApiGatewayV2::Stage"),
    RULE: ("Rule", "AWS::ElasticLoadBalancingV2::ListenerRule"),
}
ORDER: Final = (URL, API, INTEGRATION, ROUTE, STAGE, TARGET_GROUP, TARGET, RULE)
"""The kinds of doors as they stand in the files; the first says where clients call."""
PRIORITY: Final = "RulePriority"
"""The template's parameter for the place of a rule, where the manifest names none."""


def templated(alone: Alone) -> dict[str, Any]:
    """Resources of a template: what leads to the alias, and the alarms."""
    made: dict[str, Any] = {}
    group: dict[str, Any] = {}
    for number, one in enumerate(alone.door):
        fields = resolve(dict(one.fields), lambda leaf: _template_word(leaf, alone.place))
        match one.kind:
            case "url":
                kept = {name: fields[name] for name in ("Qualifier", "AuthType", "InvokeMode")}
                made["Url"] = {
                    "Type": "AWS::Lambda::Url",
                    "Properties": {"TargetFunctionArn": {"Ref": "Function"}, **kept},
                    "DependsOn": ["Alias"],
                }
            case "http-route":
                made[f"Route{number}"] = {"Type": "AWS::ApiGatewayV2::Route", "Properties": fields}
            case "target-group":
                attributes = [{"Key": name, "Value": value} for name, value in fields.pop("Attributes").items()]
                group = {**fields, "TargetGroupAttributes": attributes}
                made["TargetGroup"] = {"Type": "AWS::ElasticLoadBalancingV2::TargetGroup", "Properties": group}
            case "target":
                group["Targets"] = [{"Id": {"Ref": "Alias"}}]
                made["TargetGroup"]["DependsOn"] = ["MayAlb"]
            case kind:
                name, spelled = _API_TYPES[kind]
                if kind == RULE:
                    fields.setdefault("Priority", {"Ref": PRIORITY})
                if kind == INTEGRATION:
                    fields["IntegrationUri"] = {"Ref": "Alias"}
                made[name] = {"Type": spelled, "Properties": fields}
    for one in alone.alarms:
        name = f"Alarm{one.name.rpartition('-')[2].capitalize()}"
        made[name] = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": one.name, **one.fields}}
    return made


def template_permission(alone: Alone, right: Resource) -> dict[str, Any]:
    """A right's properties in a template, but for whom it concerns."""
    kept = {key: value for key, value in right.fields.items() if key not in {"FunctionName", "Qualifier"}}
    found: dict[str, Any] = resolve(kept, lambda leaf: _template_word(leaf, alone.place))
    return found


def template_address(alone: Alone) -> Value:
    """Where clients call, as a template says it."""
    match alone.door[0].kind:
        case "url":
            return {"Fn::GetAtt": ["Url", "FunctionUrl"]}
        case "http-api":
            return {"Fn::GetAtt": ["Api", "ApiEndpoint"]}
        case _:
            return alone.public_url


def template_parameters(alone: Alone) -> dict[str, Any]:
    """What a template asks for because of its door."""
    if not any(one.kind == RULE and "Priority" not in one.fields for one in alone.door):
        return {}
    told = "Place of the rule among the listener's: one that no other has"
    return {PRIORITY: {"Type": "Number", "Description": told, "MinValue": 1, "MaxValue": 50_000}}


def _template_word(leaf: Ref | Generated, place: Where) -> Value:
    match leaf:
        case Ref((kind, _), "ApiId") if kind == API:
            return {"Ref": "Api"}
        case Ref((kind, _), "source") if kind == API:
            return {"Fn::Sub": place.arn("execute-api", "${Api}/*")}
        case Ref((kind, _), "target") if kind == INTEGRATION:
            return {"Fn::Sub": "integrations/${Integration}"}
        case Ref((kind, _), "arn") if kind == TARGET_GROUP:
            return {"Ref": "TargetGroup"}
        case _:
            msg = f"a template has no word for {leaf}"
            raise ValueError(msg)


_ALIAS_ARN: Final = "${aws_lambda_alias.live.arn}"
_ON: Final = {
    "function_name": "${aws_lambda_function.tool.function_name}",
    "qualifier": "${aws_lambda_alias.live.name}",
}
_SPELLED: Final = {
    "TimeoutInMillis": "timeout_milliseconds",
    "StageName": "name",
    "AuthType": "authorization_type",
}


def configured(alone: Alone) -> dict[str, Any]:
    """Resources of Terraform's file: what leads to the alias, and the alarms."""
    made: dict[str, Any] = {}
    for one in alone.door:
        fields = resolve(dict(one.fields), lambda leaf: _terraform_word(leaf, alone.place))
        kind, name, attributes = _configured(one, fields)
        made.setdefault(kind, {})[name] = attributes
    for one in alone.alarms:
        made.setdefault("aws_cloudwatch_metric_alarm", {})[one.name.rpartition("-")[2]] = _alarm(one)
    return made


def terraform_permission(alone: Alone, right: Resource) -> dict[str, Any]:
    """A right's fields, with Terraform's words for what only AWS knows."""
    found: dict[str, Any] = resolve(dict(right.fields), lambda leaf: _terraform_word(leaf, alone.place))
    return found


def terraform_address(alone: Alone) -> str:
    """Where clients call, as Terraform's file says it."""
    match alone.door[0].kind:
        case "url":
            return "${aws_lambda_function_url.live.function_url}"
        case "http-api":
            return "${aws_apigatewayv2_api.tool.api_endpoint}"
        case _:
            return str(alone.public_url)


def _configured(one: Resource, fields: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Kind, name and attributes of one resource."""
    match one.kind:
        case "url":
            return "aws_lambda_function_url", "live", {**_ON, **_snaked(fields, "AuthType", "InvokeMode")}
        case "http-api":
            return "aws_apigatewayv2_api", "tool", _snaked(fields, *fields)
        case "http-integration":
            return "aws_apigatewayv2_integration", "live", {**_snaked(fields, *fields), "integration_uri": _ALIAS_ARN}
        case "http-route":
            name = re.sub(r"[^a-z]+", "_", one.name.lower()).strip("_")
            return "aws_apigatewayv2_route", name, _snaked(fields, *fields)
        case "http-stage":
            return "aws_apigatewayv2_stage", "live", _snaked(fields, *fields)
        case "target-group":
            group = {
                "lambda_multi_value_headers_enabled": fields["Attributes"][MULTI] == "true",
                "health_check": {"enabled": fields["HealthCheckEnabled"]},
            }
            return "aws_lb_target_group", "tool", {**_snaked(fields, "Name", "TargetType"), **group}
        case "target":
            target = {"target_id": _ALIAS_ARN, "depends_on": ["aws_lambda_permission.alb"]}
            return "aws_lb_target_group_attachment", "live", {**_snaked(fields, "TargetGroupArn"), **target}
        case _:
            return "aws_lb_listener_rule", "live", _rule(fields)


def _rule(fields: Mapping[str, Any]) -> dict[str, Any]:
    host, path = fields["Conditions"]
    (action,) = fields["Actions"]
    kept = ("ListenerArn", *(name for name in fields if name == "Priority"))
    return {
        **_snaked(fields, *kept),
        "condition": [
            {"host_header": {"values": list(host["HostHeaderConfig"]["Values"])}},
            {"path_pattern": {"values": list(path["PathPatternConfig"]["Values"])}},
        ],
        "action": [_snaked(action, *action)],
    }


def _alarm(one: Resource) -> dict[str, Any]:
    fields = dict(one.fields)
    dimensions = {each["Name"]: each["Value"] for each in fields.pop("Dimensions")}
    actions = {"alarm_actions": list(fields.pop("AlarmActions")), "ok_actions": list(fields.pop("OKActions"))}
    return {"alarm_name": one.name, **_snaked(fields, *fields), "dimensions": dimensions, **actions}


def _snaked(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {_SPELLED.get(name) or re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): fields[name] for name in names}


def _terraform_word(leaf: Ref | Generated, place: Where) -> Value:
    match leaf:
        case Ref((kind, _), "ApiId") if kind == API:
            return "${aws_apigatewayv2_api.tool.id}"
        case Ref((kind, _), "source") if kind == API:
            return place.arn("execute-api", "${aws_apigatewayv2_api.tool.id}/*")
        case Ref((kind, _), "target") if kind == INTEGRATION:
            return "integrations/${aws_apigatewayv2_integration.live.id}"
        case Ref((kind, _), "arn") if kind == TARGET_GROUP:
            return "${aws_lb_target_group.tool.arn}"
        case _:
            msg = f"Terraform's file has no word for {leaf}"
            raise ValueError(msg)

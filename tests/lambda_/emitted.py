"""What makes a function, in one spelling: that of the API's calls.

:func:`called` says it of the calls that a deploy made, :func:`templated` of the template for CloudFormation, and
:func:`tests.lambda_.configured.configured` of Terraform's file. Each knows every kind and every name it may meet;
another one is an error, so that nothing is left out unseen. What only AWS knows stands as ``<role>``, ``<version>``
and so on.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from mcp_packager.target import Value
from mcp_targets.aws_lambda.settings import CONFIG

Calls = dict[str, dict[str, Any]]
"""Arguments by call; calls that are made more than once have a word behind them."""

ROLE, VERSION, CODE, SUM = "<role>", "<version>", "<code>", "<sum of the code>"
API, INTEGRATION, GROUP, ALIAS = "<api>", "<integration>", "<group>", "<alias>"
NOTHING: Final = "<nothing>"

_NONE: Final[Mapping[str, Value]] = MappingProxyType(
    {
        "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
        "DeadLetterConfig": {"TargetArn": ""},
        "SnapStart": {"ApplyOn": "None"},
    }
)
"""How the API says that there is none; the files leave it away."""


_TAGS: Final = ("CreateApi Tags", "CreateTargetGroup Tags", "CreateRule Tags", "PutMetricAlarm Tags")
_MORE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "they prove whose a thing is, which nobody asks of what was not deployed": frozenset(
            {"CreateRole Tags", "CreateLogGroup tags", "CreateFunction Tags", "TagResource", *_TAGS}
        ),
        "by it the deploy finds its own again": frozenset(
            {"AddPermission StatementId", "PutRolePolicy PolicyName", "PublishVersion Description"}
        ),
        "whoever reads the role is told": frozenset({"CreateRole Description", "PutMetricAlarm AlarmDescription"}),
        "it is held against two deploys at once": frozenset({"PublishVersion RevisionId", "AddPermission RevisionId"}),
        "keys and secrets, records and the lock: a deploy's own": frozenset({"PutParameter", "AddTagsToResource"}),
        "the deploy makes a group and sets it right in two calls": frozenset({"ModifyTargetGroup"}),
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
        name = _named(call, arguments)
        assert name not in made, name
        kept = {key: value for key, value in arguments.items() if f"{call} {key}" not in beside}
        made[name] = {key: _said(call, key, value) for key, value in kept.items()}
    made["CreateFunction"] = _without_nothing(made["CreateFunction"])
    return made


def _named(call: str, arguments: Mapping[str, Any]) -> str:
    """A call, with a word behind it where it is made more than once."""
    match call:
        case "AddPermission":
            return f"{call} {arguments['StatementId'].rpartition('-')[2]}"
        case "CreateRoute":
            return f"{call} {arguments['RouteKey']}"
        case "PutMetricAlarm":
            return f"{call} {arguments['AlarmName'].rpartition('-')[2]}"
        case _:
            return call


def _said(call: str, argument: str, value: Any) -> Any:
    match call, argument:
        case "CreateRole", "AssumeRolePolicyDocument":
            return json.loads(value)
        case "PutRolePolicy", "PolicyDocument":
            return rights(json.loads(value))
        case "CreateFunction", "Role":
            return ROLE
        case "CreateFunction", "Code":
            (how,) = value
            return {how: CODE}
        case "CreateFunction", "Environment":
            return {"Variables": unpacked(value["Variables"])}
        case "PublishVersion", "CodeSha256":
            return SUM
        case "CreateAlias", "FunctionVersion":
            return VERSION
        case _:
            return _said_of_a_door(call, argument, value)


def _said_of_a_door(call: str, argument: str, value: Any) -> Any:
    match call, argument:
        case _, "ApiId":
            return API
        case _, "TargetGroupArn":
            return GROUP
        case "CreateRule", "Actions":
            return [{**one, "TargetGroupArn": GROUP} for one in value]
        case "CreateRoute", "Target":
            return INTEGRATION
        case "CreateIntegration", "IntegrationUri":
            return ALIAS
        case "RegisterTargets", "Targets":
            return [{"Id": ALIAS} for _ in value]
        case "AddPermission", "SourceArn":
            return re.sub(r"(:execute-api:.*:)[0-9a-f]{10}/", rf"\1{API}/", value)
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
                allowed = {"PolicyDocument": rights(policy["PolicyDocument"])}
                made["PutRolePolicy"] = {"RoleName": properties["RoleName"], **allowed}
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
                variables = {"Variables": unpacked(properties["Environment"]["Variables"])}
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
                made[f"AddPermission {name.removeprefix('May').lower()}"] = {**where, **_known(properties)}
            case ["SecretsManager", "Secret"]:
                assert name == "StateKey"
            case kind:
                made.update(_of_a_door(kind, one))
    return made


def _of_a_door(kind: list[str], one: Mapping[str, Any]) -> Calls:
    """The calls that make a part of a door, or an alarm."""
    properties = dict(one["Properties"])
    match kind:
        case ["ApiGatewayV2", "Route"]:
            return {f"CreateRoute {properties['RouteKey']}": _known(properties)}
        case ["ApiGatewayV2", name]:
            return {f"Create{name}": _known(properties)}
        case ["ElasticLoadBalancingV2", "TargetGroup"]:
            assert one["DependsOn"] == ["MayAlb"]
            on, targets = {"TargetGroupArn": GROUP}, _known(properties.pop("Targets"))
            return {
                "RegisterTargets": {**on, "Targets": targets},
                "ModifyTargetGroupAttributes": {**on, "Attributes": properties.pop("TargetGroupAttributes")},
                "CreateTargetGroup": properties,
            }
        case ["ElasticLoadBalancingV2", "ListenerRule"]:
            return {"CreateRule": _known(properties)}
        case ["CloudWatch", "Alarm"]:
            return {_named("PutMetricAlarm", properties): properties}
        case _:
            raise AssertionError(f"nothing is known of {kind}")


def _known(value: Any) -> Any:
    """What a template says of what only AWS knows, in the words of this module."""
    match value:
        case {"Ref": "Api"}:
            return API
        case {"Ref": "Alias"}:
            return ALIAS
        case {"Ref": "TargetGroup"}:
            return GROUP
        case {"Fn::Sub": "integrations/${Integration}"}:
            return INTEGRATION
        case {"Fn::Sub": str(text)}:
            return text.replace("${Api}", API)
        case dict():
            return {name: _known(each) for name, each in value.items()}
        case list():
            return [_known(each) for each in value]
        case _:
            return value


def _without_nothing(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if _NONE.get(name) != value}


def unpacked(variables: Mapping[str, str]) -> dict[str, Any]:
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


def rights(document: Mapping[str, Any]) -> dict[str, list[str]]:
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

"""The same as a CloudFormation template, which ``sam deploy`` takes too. Pure: from data to data.

The zip has to lie in S3 first, the image in ECR; the parameters say where.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from mcp_packager.target import Artifact, Ref, Value
from mcp_packager.target.values import Generated, resolve
from mcp_targets.aws_lambda import alone_doors
from mcp_targets.aws_lambda.alone import Alone

_EMPTY: Final[tuple[Value, ...]] = ({"SubnetIds": [], "SecurityGroupIds": []}, {"TargetArn": ""})
"""How the API says that there is none, which CloudFormation says by leaving it away."""


_ZIP: Final = {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}}
_IMAGE: Final = {"ImageUri": {"Ref": "ImageUri"}}


def template(alone: Alone, artifact: Artifact, region: str) -> dict[str, Any]:
    """The template, as JSON data."""
    function = {key: value for key, value in alone.function.items() if value not in _EMPTY}
    if alone.reserved is not None:
        function["ReservedConcurrentExecutions"] = alone.reserved
    by_image = function["PackageType"] == "Image"
    parameters = _image_parameters(artifact, region) if by_image else _zip_parameters(region)
    function["Code"] = _IMAGE if by_image else _ZIP
    properties = resolve(function, _reference)
    version = f"Version{_mark(properties, artifact.digest)}"
    made = {
        "StateKey": _resource(
            "AWS::SecretsManager::Secret",
            {
                "Name": alone.state_key,
                "Description": "Seals what a question to the user holds",
                "GenerateSecretString": {"PasswordLength": 64, "ExcludePunctuation": True},
            },
        ),
        "Role": _resource("AWS::IAM::Role", _role(alone)),
        "LogGroup": _resource(
            "AWS::Logs::LogGroup",
            {"LogGroupName": alone.log_group.name, "RetentionInDays": alone.log_group.fields["retentionInDays"]},
            keep="Delete",
        ),
        "Function": {**_resource("AWS::Lambda::Function", properties), "DependsOn": ["LogGroup", "StateKey"]},
        version: _resource(
            "AWS::Lambda::Version",
            {"FunctionName": {"Ref": "Function"}, "CodeSha256": _sum(artifact.digest, by_image=by_image)},
            keep="Retain",
        ),
        "Alias": _resource("AWS::Lambda::Alias", _alias(alone, version)),
        **alone_doors.templated(alone),
    }
    for right in alone.permissions:
        fields = alone_doors.template_permission(alone, right)
        made[f"May{right.name.capitalize()}"] = _resource(
            "AWS::Lambda::Permission", {"FunctionName": {"Ref": "Alias"}, **fields}
        )
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": _description(alone, region),
        "Parameters": {**parameters, **alone_doors.template_parameters(alone)},
        "Resources": made,
        "Outputs": {"Url": {"Description": "What clients reach", "Value": alone_doors.template_address(alone)}},
    }


def _zip_parameters(region: str) -> dict[str, Any]:
    return {
        "CodeBucket": {"Type": "String", "Description": f"The bucket in {region} that holds function.zip"},
        "CodeKey": {"Type": "String", "Description": "The key of function.zip in it"},
    }


def _image_parameters(artifact: Artifact, region: str) -> dict[str, Any]:
    told = f"Where the image lies in ECR in {region}, by its digest: REPOSITORY@{artifact.digest}"
    return {"ImageUri": {"Type": "String", "Description": told, "AllowedPattern": f".+@{artifact.digest}"}}


def _description(alone: Alone, region: str) -> str:
    told = f"The function {alone.function['FunctionName']} in {region}, without mcp-pack."
    if alone.awaited:
        told += f" Needs as SecureString in Parameter Store: {', '.join(alone.awaited)}"
    return told[:1024]


def _resource(kind: str, properties: Mapping[str, Any], *, keep: str | None = None) -> dict[str, Any]:
    policies = {} if keep is None else {"DeletionPolicy": keep, "UpdateReplacePolicy": keep}
    return {"Type": kind, **policies, "Properties": dict(properties)}


def _role(alone: Alone) -> dict[str, Any]:
    boundary = alone.role.fields["boundary"]
    return {
        "RoleName": alone.role.name,
        "AssumeRolePolicyDocument": alone.role.fields["trust"],
        "Policies": [{"PolicyName": "tool", "PolicyDocument": alone.policy}],
        **({} if boundary is None else {"PermissionsBoundary": boundary}),
    }


def _alias(alone: Alone, version: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "FunctionName": {"Ref": "Function"},
        "FunctionVersion": {"Fn::GetAtt": [version, "Version"]},
        "Name": alone.alias.name,
    }
    if alone.provisioned is not None:
        made["ProvisionedConcurrencyConfig"] = {"ProvisionedConcurrentExecutions": alone.provisioned}
    return made


def _reference(leaf: Ref | Generated) -> Value:
    match leaf:
        case Ref(_, "arn"):
            return {"Fn::GetAtt": ["Role", "Arn"]}
        case _:
            msg = f"a template has no word for {leaf}"
            raise ValueError(msg)


def _mark(properties: Value, code: str) -> str:
    """A version is never changed: another function, or other code, is another version."""
    text = json.dumps([properties, code], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _sum(digest: str, *, by_image: bool) -> str:
    """The code's sum as Lambda says it: of an image its digest, of a zip in base64."""
    if by_image:
        return digest.removeprefix("sha256:")
    return base64.b64encode(bytes.fromhex(digest.removeprefix("sha256:"))).decode()
